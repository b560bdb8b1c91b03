"""Does the saved program give the eager fp32 network's numbers? Each output by its own measure.

Depth of any kind, and confidence:

    max_rel    max |program - reference| / max |reference|
    mean_rel   mean |program - reference| / mean |reference|
    abs_rel    mean of |program - reference| / reference, where reference > 1 % of its largest value
    delta1     share of those pixels with max(p / r, r / p) < 1.25
    rank_correlation   Spearman's, over all pixels; None where the reference is flat

Sky:

    max_abs    max |program - reference|
    mean_abs   mean |program - reference|

The first two of each have limits; the others are the field's usual measures, for comparison.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

import numpy as np
import numpy.typing as npt

from compile.errors import ParityError
from compile.parity.inputs import ParityInput
from compile.targets.protocols import Limits, Run, named
from depth.artifact.program import Numbers
from depth.family import DEPTH_KINDS, SKY, Output
from depth.maps.result import FloatArray

if TYPE_CHECKING:
    from depth.network.base import Network

Values = npt.NDArray[np.float64]
Measured = Mapping[str, Numbers]  # by output

_FLAT = 1e-5  # a reference whose values differ by less than this share of its largest is flat
_LEAST = ("delta1", "rank_correlation")  # of these the least is the worst


@dataclass(frozen=True)
class InputErrors:
    """The errors on one test image, by output."""

    probe: str  # the image's name, under this key in report.json
    measured: Measured
    spread: float  # of the reference's depth, as a share of its largest value


def measure(
    network: Network, run: Run, inputs: Sequence[ParityInput], batch: int
) -> list[InputErrors]:
    """Run every test image through the eager network and the saved program, `batch` at a time.

    Raises ParityError if an output of the program has another shape or is not finite.
    """
    outputs = network.model.outputs
    results = []
    for start in range(0, len(inputs), batch):
        chosen = [inputs[(start + i) % len(inputs)] for i in range(batch)]
        images = np.concatenate([test.image for test in chosen])
        references = eager(network, images)
        found = run({"images": images})
        for output in outputs:
            got, expected = found[output.name].shape, references[output.name].shape
            if got != expected:
                raise ParityError(f"the program gives {output.name} {got}, expected {expected}")
        for place, test in enumerate(chosen):
            expected_maps, got_maps = (
                {name: array[place] for name, array in arrays.items()}
                for arrays in (references, found)
            )
            results.append(compare(test.name, outputs, expected_maps, got_maps))
    return results


def eager(network: Network, images: FloatArray) -> dict[str, FloatArray]:
    import torch  # the only place: figures are also those of files that no torch network made

    with torch.no_grad():
        found: Any = network(torch.from_numpy(images))
    names = [output.name for output in network.model.outputs]
    return {name: tensor.numpy() for name, tensor in named(names, found).items()}


def compare(
    image: str,
    outputs: Sequence[Output],
    reference: Mapping[str, FloatArray],
    found: Mapping[str, FloatArray],
) -> InputErrors:
    """Errors on one image, of arrays without a batch axis.

    Raises ParityError if they cannot be told in finite numbers.
    """
    measured: dict[str, Numbers] = {}
    spread = 0.0
    for output in outputs:
        name = output.name
        for what, values in (("reference", reference[name]), ("program", found[name])):
            if not np.isfinite(values).all():
                raise ParityError(f"the {what} gives {name} that is not finite on {image!r}")
        r, p = reference[name].astype(np.float64), found[name].astype(np.float64)
        measured[name] = _absolute(r, p) if output.kind == SKY else _relative(image, name, r, p)
        if output.kind in DEPTH_KINDS:
            spread = max(spread, _spread(r))
    return InputErrors(image, measured, spread)


def worst(results: Sequence[InputErrors]) -> dict[str, Numbers]:
    """The worst of each number of each output, rounded to three digits.

    Raises ParityError if depth was flat on every image: agreement would prove nothing.
    """
    if all(result.spread <= _FLAT for result in results):
        raise ParityError(
            "the eager network gives flat depth on every test image, so that comparing with it "
            "proves nothing; check the weights"
        )
    return {
        output: {
            name: _worst(name, [result.measured[output][name] for result in results])
            for name in numbers
        }
        for output, numbers in results[0].measured.items()
    }


def failure(measured: Measured, limits: Limits) -> Optional[str]:
    """What is over its limit, in words, or None. Written so that NaN is over every limit."""
    over = [
        f"{output} {name} {value} (limit {allowed:.3g})"
        for output, allowed_by_name in limits.items()
        for name, allowed in allowed_by_name.items()
        for value in [measured[output][name]]
        if value is None or not value <= allowed
    ]
    return "the program is too far from the eager network: " + ", ".join(over) if over else None


def figures(numbers: Mapping[str, Optional[float]]) -> str:
    """max_rel 1.20e-07  mean_rel 3.40e-08  ..."""
    return "  ".join(
        f"{name} {value:.2e}" if value and value < 0.1 else f"{name} {value:.4f}"
        for name, value in numbers.items()
        if value is not None
    )


def limits_text(limits: Limits) -> str:
    """depth max_rel 0.0005, depth mean_rel 5e-05"""
    return ", ".join(
        f"{output} {name} {value:g}"
        for output, by_name in limits.items()
        for name, value in by_name.items()
    )


def _worst(name: str, values: Sequence[Optional[float]]) -> Optional[float]:
    known = [value for value in values if value is not None]
    if not known:
        return None
    return _digits(min(known) if name in _LEAST else max(known))


def _absolute(r: Values, p: Values) -> Numbers:
    error = np.abs(p - r)
    return {"max_abs": float(error.max()), "mean_abs": float(error.mean())}


def _relative(image: str, name: str, r: Values, p: Values) -> Numbers:
    error, size = np.abs(p - r), np.abs(r)
    largest = size.max()
    if not largest and error.any():
        # Only zeros are no scale to compare with, and an infinite error fits no manifest.
        raise ParityError(f"the program gives {name} on {image!r}, the reference only zeros")
    return {
        "max_rel": _ratio(error.max(), largest),
        "mean_rel": _ratio(error.mean(), size.mean()),
        "abs_rel": _abs_rel(r, p),
        "delta1": _delta1(r, p),
        "rank_correlation": _rank_correlation(r, p) if _spread(r) > _FLAT else None,
    }


def _spread(r: Values) -> float:
    largest = np.abs(r).max()
    return float((r.max() - r.min()) / largest) if largest else 0.0


def _ratio(error: float, size: float) -> float:
    return float(error / size) if size else 0.0


def _abs_rel(r: Values, p: Values) -> float:
    valid = r > 0.01 * r.max()
    return float((np.abs(p - r)[valid] / r[valid]).mean()) if valid.any() else 0.0


def _delta1(r: Values, p: Values) -> float:
    valid = r > 0.01 * r.max()
    if not valid.any():
        return 1.0
    # Without division: a program may give zeros.
    return float(((p < 1.25 * r) & (r < 1.25 * p))[valid].mean())


def _rank_correlation(r: Values, p: Values) -> float:
    if p.max() == p.min():
        return 0.0  # flat where the reference varies: no order at all
    return float(np.corrcoef(_ranks(r), _ranks(p))[0, 1])


def _ranks(values: Values) -> Values:
    """Ranks with ties sharing their mean: ReLU gives many equal zeros."""
    _, index, counts = np.unique(values.ravel(), return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[index]


def _digits(value: float) -> float:
    return float(f"{value:.3g}")
