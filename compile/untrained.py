"""Fixed-seed weights for any model: they prove programs and plumbing, and know nothing of depth."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from depth.family import UNTRAINED
from depth.maps.result import FloatArray
from depth.weights.checkpoint import Checkpoint
from depth_anything_v2.config import Model
from depth_anything_v2.network import DepthAnything


def untrained_checkpoint(model: Model, seed: int = 0) -> Checkpoint:
    """The same weights on every machine and torch version, because numpy draws them.

    Their spread follows the number of inputs, so that depth varies over the image at every size.
    """
    rng = np.random.default_rng(seed)
    digest = hashlib.sha256()
    state: dict[str, Tensor] = {}
    for name, tensor in DepthAnything(model.config, model.max_depth_m).state_dict().items():
        values = _draw(name, tuple(tensor.shape), rng)
        digest.update(name.encode() + values.tobytes())
        state[name] = torch.from_numpy(values)
    return Checkpoint(UNTRAINED, digest.hexdigest(), "none", state)


def _draw(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
    noise = rng.standard_normal(shape, dtype=np.float32)
    if name.endswith(("pos_embed", "cls_token")):
        return 0.1 * noise
    if len(shape) > 1:
        return noise * np.float32((1.0 / np.prod(shape[1:])) ** 0.5)
    return np.float32(_centre(name)) + np.float32(0.05) * noise


def _centre(name: str) -> float:
    if name.endswith(("scale1", "scale2")):
        return 0.2  # trained LayerScale gains are small, and small ones keep rounding errors small
    if name == "decoder.head3.bias":
        return 2.0  # above the ReLU, so that little of the picture is cut to zero
    return 1.0 if "norm" in name and name.endswith("weight") else 0.0
