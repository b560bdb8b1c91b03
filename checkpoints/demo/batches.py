"""Random crops of the training scenes as network input, drawn ahead by other processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Callable

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from checkpoints.demo.pool import Halves, Pool
from checkpoints.demo.scenes.solids import FloatArray
from depth.family import IMAGENET

Pixels = npt.NDArray[np.uint8]

_MEAN = 255 * torch.tensor(IMAGENET.mean)[:, None, None]
_STD = 255 * torch.tensor(IMAGENET.std)[:, None, None]


@dataclass(frozen=True)
class Batch:
    """pixels [B,H,W,3] uint8 BGR; inverse [B,H,W], 0 is sky."""

    pixels: Tensor
    inverse: Tensor

    def on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Normalised RGB [B,3,H,W] and inverse depth [B,H,W], on a device."""
        images = self.pixels.to(device).permute(0, 3, 1, 2).float().flip(1)
        images.sub_(_MEAN.to(device)).div_(_STD.to(device))
        return images, self.inverse.to(device)


class _Steps(Dataset[Batch]):
    def __init__(self, drawn: Callable[[int], Batch], steps: int) -> None:
        self.drawn, self.steps = drawn, steps

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        return self.drawn(step)


def ahead(drawn: Callable[[int], Batch], steps: range, workers: int) -> Iterator[Batch]:
    """The batches of these steps, in order; drawn ahead by `workers` processes, if any."""
    dataset = _Steps(drawn, steps.stop)
    return iter(DataLoader(dataset, None, sampler=steps, num_workers=workers, collate_fn=_as_it_is))


def _as_it_is(batch: Any) -> Any:
    return batch


def draw(pool: Pool, size: tuple[int, int], count: int, rng: np.random.Generator) -> Batch:
    """`count` scenes at random, cropped to the aspect of `size` and resized to it."""
    pairs = [_view(*pool[int(i)], size, rng) for i in rng.integers(len(pool), size=count)]
    pixels = torch.from_numpy(np.stack([image for image, _ in pairs]))
    return Batch(pixels, torch.from_numpy(np.stack([depth for _, depth in pairs])))


def _view(
    image: Pixels, inverse: Halves, size: tuple[int, int], rng: np.random.Generator
) -> tuple[Pixels, FloatArray]:
    height, width = image.shape[:2]
    largest = min(height / size[0], width / size[1])  # crop as tall or as wide as the scene
    zoom = largest * (1 if rng.random() < 0.4 else rng.uniform(0.6, 1))
    h, w = int(zoom * size[0]), int(zoom * size[1])
    y, x = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    image, inverse = image[y : y + h, x : x + w], inverse[y : y + h, x : x + w]
    image = cv2.resize(image, size[::-1], interpolation=_smooth(zoom))
    inverse = inverse.astype(np.float32)
    inverse = cv2.resize(inverse, size[::-1], interpolation=cv2.INTER_NEAREST)
    if rng.random() < 0.5:
        image, inverse = image[:, ::-1], inverse[:, ::-1]
    return _recolour(image, rng), np.ascontiguousarray(inverse)


def _smooth(zoom: float) -> int:
    return cv2.INTER_AREA if zoom > 1 else cv2.INTER_CUBIC


def _recolour(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Another exposure, contrast, gamma and colour cast; sometimes grey, swapped or blurred."""
    level = np.arange(256, dtype=np.float32)[:, None] / 255
    gain = rng.uniform(0.7, 1.3) * rng.uniform(0.9, 1.1, 3)
    table = (level ** rng.uniform(0.7, 1.4) - 0.5) * gain + 0.5 + rng.uniform(-0.1, 0.1)
    lut = (np.clip(table, 0, 1) * 255).astype(np.uint8)
    image = np.stack([lut[image[..., i], i] for i in rng.permutation(3)], axis=-1)
    if rng.random() < 0.15:
        image = np.repeat(image.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    if rng.random() < 0.15:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.2))
    return image
