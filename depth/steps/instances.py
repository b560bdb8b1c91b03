"""Boxes, scores and prototypes of a YOLOv8 segmentation network to instances and their regions.

The layout, from Ultralytics' export documentation and the shapes of exported files:

    detections   [4+C+P,N]: centre x, centre y, width, height in px of the network's input, then a
                 score 0..1 per class, then coefficients; a column per cell of strides 8, 16 and 32
    prototypes   [P,H/4,W/4]: an instance is positive where the sum of coefficient * prototype is

Shapes: C classes | P prototypes | N cells | K candidates | H W px of the network's input
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from depth.artifact.steps import DecodeYolov8Seg
from depth.errors import InputError
from depth.maps.result import FloatArray
from depth.sizes import Size
from depth.steps.letterbox import Placed

STRIDES = (8, 16, 32)  # px of the network's input per cell
PROTOTYPE_PX = 4  # px of the network's input per prototype value
_BOX = 4  # numbers of a box

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Instance:
    """One thing that was found."""

    class_index: int
    score: float
    box: tuple[float, float, float, float]  # left, top, right, bottom, px of the network's input
    coefficients: FloatArray  # [P]


def cells_of(size: Size) -> int:
    """How many columns the detections of a network of (height, width) px have."""
    return sum((size[0] // stride) * (size[1] // stride) for stride in STRIDES)


def class_indices(step: DecodeYolov8Seg, names: Collection[str]) -> tuple[int, ...]:
    """The classes of these names; () for all. Raises InputError that lists the names there are."""
    for name in names:
        if name not in step.classes:
            raise InputError(f"no class {name!r}; there are {', '.join(step.classes)}")
    return tuple(sorted({step.classes.index(name) for name in names}))


def instances_in(
    detections: FloatArray, step: DecodeYolov8Seg, wanted: Collection[int] = ()
) -> list[Instance]:
    """The instances of [4+C+P,N], surest first; of equal scores the earlier column first.

    wanted  indices of classes; () for all. Others count for nothing, also not for overlaps.
    """
    classes = len(step.classes)
    scores = detections[_BOX : _BOX + classes]
    best = scores.argmax(axis=0)
    score = scores[best, np.arange(scores.shape[1])]
    possible = score > step.confidence
    if wanted:
        possible &= np.isin(best, list(wanted))
    columns = np.flatnonzero(possible)
    columns = columns[np.argsort(-score[columns], kind="stable")]
    boxes = _corners(detections[:_BOX, columns].T)
    chosen = _without_overlaps(boxes, best[columns], step)
    return [
        Instance(
            int(best[columns[i]]),
            float(score[columns[i]]),
            tuple(map(float, boxes[i])),  # type: ignore[arg-type]
            detections[_BOX + classes :, columns[i]],
        )
        for i in chosen
    ]


def _corners(boxes: FloatArray) -> FloatArray:
    """[K,4] of centre and size to left, top, right, bottom."""
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def _without_overlaps(boxes: FloatArray, classes: Indices, step: DecodeYolov8Seg) -> list[int]:
    """Positions of the boxes that no surer box of the same class overlaps too much."""
    areas = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=1)
    left = np.ones(len(boxes), np.bool_)
    chosen: list[int] = []
    for i in range(len(boxes)):
        if not left[i]:
            continue
        chosen.append(i)
        if len(chosen) == step.most:
            break
        low, high = np.maximum(boxes[:, :2], boxes[i, :2]), np.minimum(boxes[:, 2:], boxes[i, 2:])
        common = np.maximum(high - low, 0).prod(axis=1)
        either = areas + areas[i] - common
        left &= ~((common > step.overlap * either) & (classes == classes[i]))
    return chosen


def region_of(
    instances: Sequence[Instance], prototypes: FloatArray, place: Placed, threshold: float
) -> npt.NDArray[np.bool_]:
    """[H,W] of the image: where an instance is. Instances are joined one after the other.

    The logits of each are interpolated to the network's input, freed of the filling, interpolated
    to the image, compared with the threshold, and cut to the instance's box.
    """
    region = np.zeros(place.image, np.bool_)
    flat = prototypes.reshape(len(prototypes), -1)
    for instance in instances:
        logits = (instance.coefficients @ flat).reshape(prototypes.shape[1:])
        _add(region, logits, instance.box, place, threshold)
    return region


def _add(
    region: npt.NDArray[np.bool_],
    logits: FloatArray,
    box: Sequence[float],
    place: Placed,
    threshold: float,
) -> None:
    """Add an instance to the image's region; only the pixels in its box are computed."""
    rows = _inside(box[1] - place.top, box[3] - place.top, place.inner[0], place.image[0])
    columns = _inside(box[0] - place.left, box[2] - place.left, place.inner[1], place.image[1])
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    height, width = place.network
    wide = cv2.resize(logits, (width, height), interpolation=cv2.INTER_LINEAR)
    bottom, right = place.top + place.inner[0], place.left + place.inner[1]
    inner = wide[place.top : bottom, place.left : right]
    region[rows, columns] |= _sampled(inner, rows, columns, place.image) > threshold


def _inside(first: float, last: float, inner: int, image: int) -> slice:
    """The image's rows or columns in a box, given in px of the scaled image: those whose number is
    at least `first` and below `last`.
    """
    scale = image / inner
    start, stop = (math.ceil(min(max(side, 0), inner) * scale) for side in (first, last))
    return slice(start, min(image, stop))


def _sampled(values: FloatArray, rows: slice, columns: slice, size: Size) -> FloatArray:
    """Some rows and columns of the values once resized to `size`, bilinear, edges of pixels
    aligned, as `cv2.resize` does it.
    """
    above, below, down = _taps(rows, values.shape[0], size[0])
    left, right, across = _taps(columns, values.shape[1], size[1])
    wide = values[:, left] * (1 - across) + values[:, right] * across
    return wide[above] * (1 - down)[:, np.newaxis] + wide[below] * down[:, np.newaxis]


def _taps(places: slice, source: int, target: int) -> tuple[Indices, Indices, FloatArray]:
    position = (np.arange(places.start, places.stop) + 0.5) * (source / target) - 0.5
    position = position.clip(0, source - 1)
    first = position.astype(np.intp)
    return first, np.minimum(first + 1, source - 1), (position - first).astype(np.float32)
