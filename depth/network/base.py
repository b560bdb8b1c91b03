"""What every family's network is."""

from __future__ import annotations

from typing import Optional

from torch import nn

from depth.errors import InputError
from depth.family import Model
from depth.sizes import Size


class Network(nn.Module):
    """Images [B,3,H,W] to one tensor, or a tuple in the order of `model.outputs`.

    model   the row that it was built from
    size    (height, width) px that it is fixed at; None: each call has that of its images
    passes  lowering passes that rewrote it: "position", "resize=matmul"

    Its parts are the blocks of depth/network, as far as it has such: a lowering pass replaces
    modules by their type.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model
        self.size: Optional[Size] = None
        self.passes: tuple[str, ...] = ()

    def fix_size(self, height_px: int, width_px: int) -> None:
        """Settle all that depends on the size in ordinary Python, so that a trace has constants.

        Again for another size. Raises InputError if the network cannot have it.
        """
        raise NotImplementedError

    def stage(self, name: str) -> nn.Module:
        """A stage of `model.split` at the fixed size that shares this network's weights.

        Takes tensors in the order of the stage's inputs; gives a tensor, or a tuple in the order of
        its outputs. Raises InputError if there is no such stage, or the network has no size.
        """
        raise NotImplementedError

    @property
    def fixed_size(self) -> Size:
        """`size`; raises InputError if the network follows its images."""
        if self.size is None:
            raise InputError(f"{self.model.name} has no size yet: fix_size gives it one")
        return self.size
