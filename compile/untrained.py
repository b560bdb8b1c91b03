"""Fixed-seed weights for any model: they prove programs and plumbing, and know nothing of depth."""

from __future__ import annotations

import hashlib
from typing import Optional

import numpy as np
import torch
from torch import Tensor, nn

from compile.shapes_only import build_without_values
from depth.family import UNTRAINED, Model
from depth.maps.result import FloatArray
from depth.network.convolution import BatchNorm
from depth.network.dpt import Exp, Head
from depth.network.vit import Block, LayerScale
from depth.weights.checkpoint import Checkpoint

# Trained LayerScale gains are small, and small ones keep rounding errors small.
_GAIN = 0.2
# Above a ReLU, so that nothing is cut to zero, beside which every error is large; within the range
# of a sigmoid. The weights of the last layer sum to zero, since its inputs are all positive.
_LAST_BIAS, _LAST_SHARE = 2.0, 0.5
# An exponential multiplies errors by its values: those stay near e.
_EXP_BIAS, _EXP_SHARE = 1.0, 0.3


def untrained_checkpoint(model: Model, seed: int = 0) -> Checkpoint:
    """The same weights on every machine and torch version, because numpy draws them.

    Each tensor depends on its name, its shape and the seed. Their spread follows the number of
    inputs, so that outputs vary over the image at every size.
    """
    digest = hashlib.sha256()
    state: dict[str, Tensor] = {}
    network = build_without_values(model)
    modules = dict(network.named_modules())
    for name, tensor in network.state_dict().items():
        values = _draw(name, tuple(tensor.shape), modules, network.untrained, seed)
        digest.update(name.encode() + values.tobytes())
        state[name] = torch.from_numpy(values)
    return Checkpoint(UNTRAINED, digest.hexdigest(), "none", state)


def _draw(
    name: str,
    shape: tuple[int, ...],
    modules: dict[str, nn.Module],
    own: tuple[tuple[str, float, float], ...],
    seed: int,
) -> FloatArray:
    named = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    noise = np.random.default_rng([seed, named]).standard_normal(shape, dtype=np.float32)
    if name.endswith(("pos_embed", "cls_token", "camera_token")):
        return 0.1 * noise
    path, _, kind = name.rpartition(".")
    head = _head_that_ends_with(path, modules)
    bias, share = next(((b, s) for start, b, s in own if name.startswith(start)), (None, 1.0))
    if len(shape) > 1:
        if head is not None:
            exponential = isinstance(head.activation, Exp)
            noise -= np.float32(0 if exponential else noise.mean(dtype=np.float64))
            share = _EXP_SHARE if exponential else _LAST_SHARE
        share *= _GAIN if _adds_unscaled(path, modules) else 1.0
        return noise * np.float32(share * (1.0 / np.prod(shape[1:])) ** 0.5)
    centre = _centre(modules[path], kind, head) if bias is None else bias
    return np.float32(centre) + np.float32(0.05) * noise


def _centre(module: nn.Module, kind: str, head: Optional[Head]) -> float:
    if isinstance(module, LayerScale):
        return _GAIN
    if head is not None:
        return _EXP_BIAS if isinstance(head.activation, Exp) else _LAST_BIAS
    is_norm = isinstance(module, (nn.LayerNorm, nn.GroupNorm, BatchNorm))
    return 1.0 if is_norm and kind in ("weight", "running_var") else 0.0


def _head_that_ends_with(path: str, modules: dict[str, nn.Module]) -> Optional[Head]:
    """The head whose last layer this is, or None."""
    parent, _, name = path.rpartition(".")
    head = modules.get(parent)
    return head if isinstance(head, Head) and name == "conv2" else None


def _adds_unscaled(path: str, modules: dict[str, nn.Module]) -> bool:
    """Whether this layer ends a branch of a block without LayerScale: its weights are the gain."""
    block = modules.get(".".join(path.split(".")[:-2]))
    if not isinstance(block, Block) or isinstance(block.scale1, LayerScale):
        return False
    return modules[path] in (block.attn.proj, block.mlp.last)
