"""The position embedding plus class token: resampled at every call, or fixed for one grid.

Shapes: h w patch grid | N = 1 + h*w tokens | D width
"""

from __future__ import annotations

from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NATIVE_GRID = 37  # patches per side of DINOv2's own position embedding

Kind = TypeVar("Kind", bound=nn.Module)


class ResampledPosition(nn.Module):
    """Computed from the weights at every call, so that a change of the weights takes effect."""

    def __init__(self, dim: int, native_grid: int = NATIVE_GRID) -> None:
        super().__init__()
        self.native_grid = native_grid  # cells per side of `pos_embed`
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + native_grid**2, dim))

    def forward(self, h: int, w: int) -> Tensor:  # [1,N,D]
        position = self.fitted(h, w)
        return torch.cat((position[:, :1] + self.cls_token, position[:, 1:]), dim=1)

    def fitted(self, h: int, w: int) -> Tensor:  # [1,N,D], without the class token
        return fit_pos_embed(self.pos_embed, h, w)


class BilinearPosition(ResampledPosition):
    """Resampled bilinearly, cell by cell, as MiDaS does it (`_resize_pos_embed` in its vit.py)."""

    def fitted(self, h: int, w: int) -> Tensor:
        cls, cells = self.pos_embed[:, :1].float(), self.pos_embed[:, 1:].float()
        grid = cells.transpose(1, 2).reshape(1, -1, self.native_grid, self.native_grid)
        grid = F.interpolate(grid, size=(h, w), mode="bilinear", align_corners=False)
        fitted = torch.cat((cls, grid.flatten(2).transpose(1, 2)), dim=1)
        return fitted.to(self.pos_embed.dtype)


class FixedPosition(nn.Module):
    """A constant for one grid. It is not in the state dict, so every size loads the same file."""

    constant: Tensor

    def __init__(self, constant: Tensor) -> None:  # [1,N,D]
        super().__init__()
        self.register_buffer("constant", constant, persistent=False)

    def forward(self, h: int, w: int) -> Tensor:  # noqa: ARG002 - as `ResampledPosition`
        return self.constant


class SettledPosition(FixedPosition):
    """A constant, and the weights that it was computed from: the parameters of `live`, not copies.

    `load_state_dict` computes it again, also as part of a larger module. After writing to the
    parameters directly, call `settle` again.
    """

    def __init__(self, live: ResampledPosition, h: int, w: int) -> None:
        super().__init__(_settled(live, h, w))
        self.grid, self.kind, self.native_grid = (h, w), type(live), live.native_grid
        self.cls_token, self.pos_embed = live.cls_token, live.pos_embed

    def live(self) -> ResampledPosition:
        """The module that is resampled at every call, with the same parameters."""
        live = self.kind(0, self.native_grid)
        live.cls_token, live.pos_embed = self.cls_token, self.pos_embed
        return live.train(self.training)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)  # type: ignore[no-untyped-call]
        self.constant = _settled(self.live(), *self.grid)


def settle(module: nn.Module, h: int, w: int) -> None:
    """Fix every position embedding inside a module for an h x w patch grid, from its weights."""
    unsettle(module)
    for parent, name, live in _children(module, ResampledPosition):
        setattr(parent, name, SettledPosition(live, h, w).train(live.training))


def unsettle(module: nn.Module) -> None:
    """Undo `settle`: resample every position embedding inside a module at every call."""
    for parent, name, settled in _children(module, SettledPosition):
        setattr(parent, name, settled.live())


def _children(module: nn.Module, kind: type[Kind]) -> list[tuple[nn.Module, str, Kind]]:
    return [
        (parent, name, child)
        for parent in module.modules()
        for name, child in parent.named_children()
        if isinstance(child, kind)
    ]


def _settled(live: ResampledPosition, h: int, w: int) -> Tensor:
    with torch.no_grad():
        return live(h, w).detach()


def fit_pos_embed(pos_embed: Tensor, h: int, w: int) -> Tensor:
    """Resample a checkpoint's position embedding to another grid.

    Shapes: [1,1+37*37,D] -> [1,1+h*w,D].

    The scale factor carries DINOv2's offset of 0.1 patch; resampling with size=(h, w), as
    transformers does, gives other numbers (github.com/facebookresearch/dino issue 8).
    """
    if (h, w) == (NATIVE_GRID, NATIVE_GRID):
        return pos_embed
    cls, grid = pos_embed[:, :1].float(), pos_embed[:, 1:].float()
    grid = grid.transpose(1, 2).reshape(1, -1, NATIVE_GRID, NATIVE_GRID)
    scale = ((h + 0.1) / NATIVE_GRID, (w + 0.1) / NATIVE_GRID)
    grid = F.interpolate(grid, scale_factor=scale, mode="bicubic")
    return torch.cat((cls, grid.flatten(2).transpose(1, 2)), dim=1).to(pos_embed.dtype)
