"""Measures a folder of predictions against a folder of true depth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Optional

import numpy as np

from depth.errors import DepthFileError, InputError
from depth.evaluation.alignment import INVERSE, NONE, Move, check_kind, move_for, moved
from depth.evaluation.crops import inside
from depth.evaluation.files import Arrays, Prediction, read_prediction, read_truth
from depth.evaluation.metrics import METRICS, Doubles, measured
from depth.evaluation.pairing import Found, Pairs
from depth.family import RELATIVE_INVERSE
from depth.maps.result import Provenance
from depth.postprocess import resize_depth
from depth.sizes import size_text

_LARGEST = 1e37  # that float32 resizes without an overflow
_SAME_RATIO = 0.05  # of sides: what rounding to multiples of 14 px leaves


@dataclass(frozen=True)
class Protocol:
    """How predictions are measured.

    align         of ALIGNMENTS
    least_m, most_m  true depth outside is left out, predicted depth outside is moved to the end
    crop          of CROPS
    truth_scale   stored numbers of true depth for 1 m
    arrays        what predictions of others hold
    """

    align: str = NONE
    least_m: float = 0.001
    most_m: Optional[float] = None
    crop: str = "none"
    truth_scale: Optional[float] = None
    arrays: Arrays = Arrays()

    def __post_init__(self) -> None:
        if not 0 < self.least_m < (float("inf") if self.most_m is None else self.most_m):
            raise InputError(
                f"--min-depth {self.least_m:g}, --max-depth {self.most_m}: expected 0 < min < max"
            )
        if self.align == INVERSE and self.most_m is None:
            raise InputError(
                f"--align {INVERSE} needs --max-depth, such as 10 for NYU and 80 for KITTI: "
                "aligned inverse depth may reach 0, which is infinitely far"
            )


@dataclass(frozen=True)
class Row:
    """The figures of one image. `resampled`: the prediction had another size than the truth."""

    name: str
    prediction: Path
    truth: Path
    pixels: int  # valid
    figures: dict[str, float]
    move: Move
    resampled: bool


@dataclass(frozen=True)
class LeftOut:
    """An image without figures."""

    name: str
    reason: str


@dataclass
class Evaluation:
    """The figures of a folder."""

    protocol: Protocol
    rule: str  # by which the files were paired
    rows: list[Row] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    made: list[Provenance] = field(default_factory=list)  # by what, each once

    @property
    def pixels(self) -> int:
        return sum(row.pixels for row in self.rows)

    @property
    def means(self) -> dict[str, float]:
        """The mean over images of each figure; NaN without an image."""
        if not self.rows:
            return dict.fromkeys(METRICS, float("nan"))
        return {name: float(np.mean([r.figures[name] for r in self.rows])) for name in METRICS}


def evaluate(
    found: Pairs, protocol: Protocol, progress: Callable[[int], None] = lambda _: None
) -> Evaluation:
    """Measure every pair.

    progress  takes the number of pairs done

    A pair that cannot be measured is left out with its reason. Raises InputError for a kind of
    prediction that the alignment is not made for, or whole numbers without a scale.
    """
    result = Evaluation(protocol, found.rule)
    result.left_out += [LeftOut(file.base, "has no true depth") for file in found.no_truth]
    result.left_out += [LeftOut(file.base, "has no prediction") for file in found.no_prediction]
    for done, pair in enumerate(found.pairs, start=1):
        _add(result, *pair)
        progress(done)
    return result


def _add(result: Evaluation, prediction: Found, truth: Found) -> None:
    protocol = result.protocol
    try:
        found = read_prediction(prediction.path, protocol.arrays)
        check_kind(found.kind, protocol.align)
        depth = read_truth(truth.path, protocol.truth_scale)
    except DepthFileError as error:
        result.left_out.append(LeftOut(prediction.base, str(error)))
        return
    try:
        pixels, figures, move = measure(found, depth, protocol)
    except InputError as error:
        result.left_out.append(LeftOut(prediction.base, str(error)))
        return
    if found.made is not None and found.made not in result.made:
        result.made.append(found.made)
    resampled = found.values.shape != depth.shape
    row = Row(prediction.base, prediction.path, truth.path, pixels, figures, move, resampled)
    result.rows.append(row)


def measure(
    prediction: Prediction, truth: Doubles, protocol: Protocol
) -> tuple[int, dict[str, float], Move]:
    """Valid pixels, figures and move of one image.

    truth  [H,W] metres, 0 where nothing was measured

    A prediction of another size is resized to the truth's first, bilinear with aligned corners, in
    its own values. Raises InputError for an image without a valid pixel, of another aspect ratio,
    that settles no move, or with numbers whose figures are not finite.
    """
    most_m = float("inf") if protocol.most_m is None else protocol.most_m
    size = (truth.shape[0], truth.shape[1])
    valid = (truth >= protocol.least_m) & (truth <= most_m) & inside(protocol.crop, size)
    if not valid.any():
        raise InputError("no valid pixel: its true depth is empty there, or beyond the limits")
    p, t = _resized(prediction.values, size)[valid], truth[valid]
    if protocol.align == INVERSE and prediction.kind != RELATIVE_INVERSE:
        if not p.min() > 0:
            raise InputError(f"{int((p <= 0).sum())} predicted depths are 0 or less: no inverse")
        p = 1 / p
    with np.errstate(over="ignore", invalid="ignore"):
        move = move_for(protocol.align, p, t)
        depth = moved(protocol.align, p, move, protocol.least_m, most_m)
        figures = measured(depth, t)
    if not np.isfinite([move.scale, move.shift, *figures.values()]).all():
        raise InputError("its numbers are too large for figures: leave them out with --max-depth")
    return len(t), figures, move


def _resized(values: Doubles, size: tuple[int, int]) -> Doubles:
    if values.shape == size:
        return values
    (h, w), (height, width) = values.shape, size
    if abs((w * height) / (h * width) - 1) > _SAME_RATIO:
        raise InputError(
            f"the prediction is {size_text((h, w))} px and the truth {size_text(size)}, of another "
            "aspect ratio: one of them is cropped"
        )
    within = np.clip(values, -_LARGEST, _LARGEST).astype(np.float32)
    return resize_depth(within, size).astype(np.float64)


def reasons(found: Evaluation, most: int) -> Iterator[str]:
    """A line for each of the first images without figures, and the number of the others."""
    for left in found.left_out[:most]:
        yield f"{left.name}: {left.reason}"
    if len(found.left_out) > most:
        yield f"{len(found.left_out) - most} more without figures"
