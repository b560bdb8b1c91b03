"""The base class of every family's network."""

from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor, nn

from depth.errors import InputError
from depth.family import FLOAT32, Model
from depth.sizes import Size, size_text


class Network(nn.Module):
    """Images [B,3,H,W] to one tensor, or a tuple in the order of `model.outputs`.

    model   the row of the network
    size    the fixed (height, width) px; None: each call follows the size of its images
    passes  lowering passes that rewrote the network: "position", "resize=matmul"
    image_dtype  that images have where the network is compiled: "float32", or "float16"

    Build a network from the blocks of depth/network: a lowering pass replaces modules by type.
    """

    # Of fixed-seed weights: the names that begin so, the bias, and the spread as a share.
    untrained: tuple[tuple[str, float, float], ...] = ()

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model
        self.size: Optional[Size] = None
        self.passes: tuple[str, ...] = ()
        self.image_dtype = FLOAT32

    def fix_size(self, height_px: int, width_px: int) -> None:
        """Compute all values that depend on the size, so that a trace has constants.

        Call it again for another size. Raises InputError for a size that the network cannot have.
        """
        raise NotImplementedError

    def check_movable(self, size: Size) -> None:
        """Raise InputError unless `fix_size` may move the network to this (height, width) px."""
        self.model.size.check(size)
        if self.passes:
            raise InputError(
                f"a lowered network keeps its size {size_text(self.fixed_size)}: move the network "
                "that it was made of, and lower that again"
            )

    def size_of(self, images: Tensor) -> Size:
        """(height, width) px of images [B,3,H,W] as plain ints, in a trace the fixed ones.

        Raises InputError if the network cannot have that size, or is fixed at another.
        """
        if self.size is not None and _tracing():
            return self.size
        size = int(images.shape[-2]), int(images.shape[-1])
        if self.size is None:
            self.model.size.check(size)
        elif size != self.size:
            raise InputError(
                f"images of {size_text(size)} px: the network is fixed at {size_text(self.size)}; "
                "fix_size moves it"
            )
        return size

    def stage(self, name: str, views: int = 1) -> nn.Module:
        """A stage of `model.split` at the fixed size that shares this network's weights.

        views  of a scene; only a stage whose axes have an S knows it

        The module takes tensors in the order of the stage's inputs, and returns a tensor or a tuple
        in the order of its outputs. Raises InputError for an unknown stage, or without a size.
        """
        raise NotImplementedError

    @property
    def fixed_size(self) -> Size:
        """`size`; raises InputError if the network follows its images."""
        if self.size is None:
            raise InputError(f"{self.model.name} has no size yet: fix_size gives it one")
        return self.size


def _tracing() -> bool:
    """Whether a trace is being made, in which shapes are not plain ints."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined,no-untyped-call]
