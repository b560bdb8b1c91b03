"""Does the saved program give the numbers of the eager fp32 network?

    max_rel    max |program - reference| / max |reference|
    mean_rel   mean |program - reference| / mean |reference|
    abs_rel    mean of |program - reference| / reference, where reference > 1 % of its largest value
    delta1     share of those pixels with max(p / r, r / p) < 1.25
    rank_correlation   Spearman's, over all pixels; None where the reference is flat

The first two have limits; the others are the field's usual measures, reported for comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from compile.errors import ParityError
from compile.parity.probes import Probe
from compile.targets.protocols import Limit, Run
from depth.artifact.manifest import FUSED, ParityNumbers
from depth.maps.depth_map import FloatArray
from depth.preprocess import NORMALISATION, unnormalised

Values = npt.NDArray[np.float64]

_FLAT = 1e-5  # a reference whose values differ by less than this share of its largest is flat


@dataclass(frozen=True)
class ProbeResult:
    """The errors on one test image, and the spread of the reference as a share of its largest."""

    probe: str
    numbers: ParityNumbers
    reference_spread: float


def measure(network: nn.Module, run: Run, probes: Sequence[Probe], batch: int) -> list[ProbeResult]:
    """Run every test image through the eager network and the saved program, `batch` at a time.

    Raises ParityError if the program's output has another shape or is not finite.
    """
    results = []
    for start in range(0, len(probes), batch):
        chosen = [probes[(start + i) % len(probes)] for i in range(batch)]
        images = np.concatenate([probe.image for probe in chosen])
        with torch.no_grad():
            reference = network(torch.from_numpy(images)).numpy()
        found = run(images)
        if found.shape != reference.shape:
            raise ParityError(f"the program gives {found.shape}, expected {reference.shape}")
        for probe, expected, got in zip(chosen, reference, found):
            results.append(compare(probe.name, expected, got))
    return results


def compare(name: str, reference: FloatArray, found: FloatArray) -> ProbeResult:
    """Errors of one depth map [H,W]; ParityError if they cannot be told in finite numbers."""
    for what, values in (("reference", reference), ("program", found)):
        if not np.isfinite(values).all():
            raise ParityError(f"the {what} gives values that are not finite on {name!r}")
    r, p = reference.astype(np.float64), found.astype(np.float64)
    error, size = np.abs(p - r), np.abs(r)
    largest = size.max()
    if not largest and error.any():
        # Only zeros are no scale to compare with, and an infinite error fits no manifest.
        raise ParityError(f"the program gives depth on {name!r}, the reference only zeros")
    spread = (r.max() - r.min()) / largest if largest else 0.0
    numbers = ParityNumbers(
        max_rel=_ratio(error.max(), largest),
        mean_rel=_ratio(error.mean(), size.mean()),
        abs_rel=_abs_rel(r, p),
        delta1=_delta1(r, p),
        rank_correlation=_rank_correlation(r, p) if spread > _FLAT else None,
    )
    return ProbeResult(name, numbers, float(spread))


def worst(results: Sequence[ProbeResult]) -> ParityNumbers:
    """The worst of each number, rounded to three digits.

    Raises ParityError if the reference was flat on every image: agreement would prove nothing.
    """
    if all(result.reference_spread <= _FLAT for result in results):
        raise ParityError(
            "the eager network gives flat depth on every test image, so that comparing with it "
            "proves nothing; check the weights"
        )
    numbers = [result.numbers for result in results]
    ranks = [n.rank_correlation for n in numbers if n.rank_correlation is not None]
    return ParityNumbers(
        max_rel=_digits(max(n.max_rel for n in numbers)),
        mean_rel=_digits(max(n.mean_rel for n in numbers)),
        abs_rel=_digits(max(n.abs_rel for n in numbers)),
        delta1=_digits(min(n.delta1 for n in numbers)),
        rank_correlation=_digits(min(ranks)) if ranks else None,
    )


def failure(numbers: ParityNumbers, limit: Limit) -> Optional[str]:
    """What is over the limit, in words, or None. Written so that NaN is over every limit."""
    over = [
        f"{name} {value:.3g} (limit {allowed:.3g})"
        for name, value, allowed in (
            ("max_rel", numbers.max_rel, limit.max_rel),
            ("mean_rel", numbers.mean_rel, limit.mean_rel),
        )
        if not value <= allowed
    ]
    return "the program is too far from the eager network: " + ", ".join(over) if over else None


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


def chained(runs: Sequence[Run], passes: Sequence[str]) -> Run:
    """Normalised images to depth, through programs that run one after the other."""

    def run(images: FloatArray) -> FloatArray:
        values = unnormalised(images) if NORMALISATION in passes else images
        for each in runs:
            values = each(values)
        return values

    return run


def stem_name(size: tuple[int, int], batch: int, stage: str = FUSED) -> str:
    """As `Program.name`: 518x686-b1, or 518x686-b1-encoder."""
    return f"{size[0]}x{size[1]}-b{batch}" + ("" if stage == FUSED else f"-{stage}")
