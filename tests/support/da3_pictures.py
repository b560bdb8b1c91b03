"""The tiny network of any number of views behind upstream's class, and pictures for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.torch import save_file

from depth_anything_3.anyview import config
from depth_anything_3.anyview.config import NestedModel
from depth_anything_3.api import DepthAnything3
from tests.support import da3, da3_views

SIDE = 84
NESTED, GIANT = "da3nested-giant-large", "da3-giant"
SIZES = [(60, 90), (90, 60), (80, 90), (56, 84)]  # (height, width) px, one per view

Pixels = npt.NDArray[np.uint8]


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upstream's names mean tiny networks until the test ends."""
    for name in ("da3-small", "da3-large"):
        monkeypatch.setitem(config.ANY_VIEW_MODELS, name, da3_views.TINY_MODEL)
    monkeypatch.setitem(config.ANY_VIEW_MODELS, GIANT, da3_views.GAUSSIAN_MODEL)
    nested = NestedModel(NESTED, da3_views.TINY_MODEL, da3.TINY_METRIC)
    monkeypatch.setitem(config.NESTED_MODELS, NESTED, nested)


def saved(folder: Path, name: str = "da3-small") -> Path:
    """A folder as upstream's `save_pretrained` writes it."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_name": name}))
    own = da3_views.gaussian_weights() if name == GIANT else da3_views.weights()
    state = da3_views.to_upstream(own)
    if name == NESTED:
        parts = (("da3", state), ("da3_metric", da3.to_upstream(da3.weights(da3.TINY_METRIC))))
        state = {
            key.replace("model.", f"model.{part}.", 1): tensor.clone()
            for part, tensors in parts
            for key, tensor in tensors.items()
        }
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, folder / _WEIGHTS)
    return folder


_WEIGHTS = "model.safetensors"


def model(folder: Path, name: str = "da3-small") -> DepthAnything3:
    return DepthAnything3.from_pretrained(saved(folder, name))


def pictures(views: int, sizes: list[tuple[int, int]] = SIZES) -> list[Any]:
    """RGB arrays of different sizes."""
    rng = np.random.default_rng(views)
    found = []
    for height, width in sizes[:views]:
        coarse = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
        found.append(np.kron(coarse, np.ones((8, 8, 1), np.uint8))[:height, :width])
    return found


def cameras(images: list[Any]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Extrinsics [S,4,4], and intrinsics [S,3,3] in px of these pictures."""
    placed, lenses = da3_views.ring(len(images))
    for lens, image in zip(lenses, images):
        height, width = image.shape[:2]
        lens[:] = [[0.9 * width, 0, 0.52 * width], [0, 0.8 * width, 0.47 * height], [0, 0, 1]]
    return placed, lenses
