"""Fixed-seed weights: they prove programs and plumbing, and know nothing of depth."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor, nn

from depth.maps.result import FloatArray
from depth.network.vit import LayerScale
from depth_anything_3.anyview.network import AnyViewNetwork

_GAIN = 0.2  # trained LayerScale gains are small
_TOKEN = 0.1
# The angle of view ends in a ReLU: near 1 radian it is over 0, so that focal lengths are those of
# cameras. Its weights and those before an exponential are small, so that values stay near the bias.
_FIELD_OF_VIEW = ("camera_decoder.field_of_view.", 1.0, 0.05)
_EXPONENTS = (("decoder.depth.conv2.", 1.0, 0.3), ("decoder.rays.conv2.", 0.5, 0.3))


def untrained_state(network: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """The same weights on every machine and torch version, because numpy draws them.

    network  of any values, also on the device `meta`

    Each tensor depends on its name, its shape and the seed.
    """
    modules = dict(network.named_modules())
    return {
        name: torch.from_numpy(_drawn(name, tuple(tensor.shape), modules, seed))
        for name, tensor in network.state_dict().items()
    }


def load_untrained(network: AnyViewNetwork, seed: int = 0) -> AnyViewNetwork:
    """The network itself, with these weights, in eval mode and without gradients."""
    network.load_state_dict(untrained_state(network, seed))
    return network.eval().requires_grad_(False)


def _drawn(
    name: str, shape: tuple[int, ...], modules: dict[str, nn.Module], seed: int
) -> FloatArray:
    named = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    noise = np.random.default_rng([seed, named]).standard_normal(shape, dtype=np.float32)
    if name.endswith(("pos_embed", "cls_token", "camera_token")):
        return _TOKEN * noise
    bias, share = next(
        ((b, s) for start, b, s in (_FIELD_OF_VIEW, *_EXPONENTS) if name.startswith(start)),
        (0.0, 1.0),
    )
    if len(shape) > 1:
        return noise * np.float32(share * (1.0 / np.prod(shape[1:])) ** 0.5)
    module, kind = modules[name.rpartition(".")[0]], name.rpartition(".")[2]
    if isinstance(module, LayerScale):
        bias = _GAIN
    elif isinstance(module, nn.LayerNorm) and kind == "weight":
        bias = 1.0
    return np.float32(bias) + np.float32(0.05) * noise
