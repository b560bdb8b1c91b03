"""Instances and their regions against operators of torch and torchvision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from depth.artifact.steps import DecodeYolov8Seg
from depth.steps.instances import Instance, cells_of, instances_in, region_of
from depth.steps.letterbox import Placed, placed

torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed: an oracle")

NETWORK = (160, 224)
STEP = DecodeYolov8Seg(tuple("abcde"), (), "output0", "output1")


def random_outputs(seed: int) -> tuple[Any, Any]:
    """Detections [4+5+32,N] with many boxes that overlap, and prototypes [32,H/4,W/4]."""
    rng = np.random.default_rng(seed)
    count = cells_of(NETWORK)
    places = rng.uniform(0, 1, (6, 2))[rng.integers(0, 6, count)] * NETWORK[::-1]
    boxes = np.concatenate(
        [places + rng.normal(0, 5, (count, 2)), rng.uniform(20, 70, (count, 2))], axis=1
    )
    scores = rng.uniform(0, 0.5, (count, 5)) ** 2 * 4
    rows = np.concatenate([boxes, scores, rng.normal(0, 1, (count, 32))], axis=1)
    prototypes = rng.normal(0, 1, (32, NETWORK[0] // 4, NETWORK[1] // 4))
    return rows.T.astype(np.float32), prototypes.astype(np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_instances_are_those_of_batched_nms(seed: int) -> None:
    rows, _ = random_outputs(seed)
    x = torch.from_numpy(rows.T)
    score, best = x[:, 4:9].max(1)
    chosen = torch.nonzero(score > 0.25).squeeze(1)
    half = x[chosen, 2:4] / 2
    boxes = torch.cat([x[chosen, :2] - half, x[chosen, :2] + half], 1)
    kept = torchvision.ops.batched_nms(boxes, score[chosen], best[chosen], 0.7)[: STEP.most]
    expected = [(int(best[i]), rows[9:, i].tobytes()) for i in chosen[kept].tolist()]
    found = instances_in(rows, STEP)
    assert 50 < len(expected) < len(chosen)
    assert [(each.class_index, each.coefficients.tobytes()) for each in found] == expected


@pytest.mark.parametrize("image", [(160, 224), (480, 300), (333, 777)])
def test_regions_are_those_of_interpolate(image: tuple[int, int]) -> None:
    rows, prototypes = random_outputs(9)
    found = instances_in(rows, STEP)[:40]
    place = placed(image, NETWORK)
    logits = torch.stack([by_torch(each, torch.from_numpy(prototypes), place) for each in found])
    largest = logits.max(0).values.numpy()
    region = region_of(found, prototypes, place, 0.0)
    assert 0.1 < region.mean() < 0.95
    # Rounding decides where the largest logit is nearly zero.
    assert region[largest > 1e-4].all()
    assert not region[largest < -1e-4].any()
    assert np.count_nonzero(np.abs(largest) <= 1e-4) < 1e-3 * region.size


def by_torch(instance: Instance, prototypes: Any, place: Placed) -> Any:
    """The logits of an instance at every pixel of the image, -1 outside its box."""
    small = torch.einsum("p,phw->hw", torch.from_numpy(instance.coefficients), prototypes)
    wide = resized(small, place.network)
    height, width = place.inner
    inner = wide[place.top : place.top + height, place.left : place.left + width]
    logits = resized(inner, place.image)
    left, top, right, bottom = instance.box
    rows = torch.arange(place.image[0], dtype=torch.float64) * height / place.image[0] + place.top
    columns = torch.arange(place.image[1], dtype=torch.float64) * width / place.image[1]
    columns += place.left
    inside = ((rows >= top) & (rows < bottom))[:, None] & ((columns >= left) & (columns < right))
    return torch.where(inside, logits, -1.0)


def resized(values: Any, size: tuple[int, int]) -> Any:
    return interpolate(values[None, None], size, mode="bilinear", align_corners=False)[0, 0]
