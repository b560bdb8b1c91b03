"""What blocks inside a network of any number of views give: one map of features per view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from depth.errors import InputError
from depth.maps.result import FloatArray
from depth.sizes import Size
from depth.steps.reference_view import order_of_views, places_of_views
from depth.steps.stages import HEAD, PREFIX, RAYS, TRUNK
from depth_anything_3.anyview.network import AnyViewNetwork


class Watched:
    """A network whose stages also keep what chosen blocks give; everything else is the network's.

    features  also keep the features that the head is given

    Made for one call of `views_of`, so calls from several threads do not disturb each other.
    Raises InputError for blocks that the network does not have.
    """

    def __init__(
        self, network: AnyViewNetwork, blocks: Sequence[int], features: bool = False
    ) -> None:
        count = len(network.encoder.blocks)
        for block in blocks:
            if not isinstance(block, int) or not 0 <= block < count:
                raise InputError(f"export_feat_layers {block!r}: expected blocks 0 to {count - 1}")
        self._network = network
        self._kept: dict[int, list[Tensor]] = {block: [] for block in blocks}
        self._first = network.encoder.alternate_from
        self._keeps, self.of_head = features, list[Tensor]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def as_network(self) -> AnyViewNetwork:
        return cast(AnyViewNetwork, self)

    def stage_at(self, size: Size, name: str, views: int = 1) -> nn.Module:
        stage = self._network.stage_at(size, name, views)
        if self._keeps and name in (HEAD, RAYS):
            return _Fed(stage, self.of_head)
        first = {PREFIX: 0, TRUNK: self._first}.get(name)
        return stage if first is None else self._watch(stage, first)

    def _watch(self, stage: Any, first: int) -> nn.Module:
        """The stage with other blocks: a stage is made for one call, its blocks are not."""
        numbered = enumerate(stage.blocks, first)
        stage.blocks = nn.ModuleList(
            [_Kept(block, self._kept[i]) if i in self._kept else block for i, block in numbered]
        )
        return cast(nn.Module, stage)

    @torch.no_grad()
    def features(self, size: Size, views: int, reference: int) -> dict[str, FloatArray]:
        """`feat_layer_I` for each block I: [S,h,w,D], after the last LayerNorm of the encoder.

        Views are in the order of the caller; upstream gives those of three views and more in the
        order of the network.
        """
        h, w = self._network.grid(size)
        places = places_of_views(order_of_views(views, reference))
        found = {}
        for block, parts in self._kept.items():
            tokens = torch.cat([part.reshape(-1, 1 + h * w, part.shape[-1]) for part in parts])
            values = self._network.encoder.norm(tokens)[:, 1:].cpu().numpy()
            if block >= self._first:
                values = values[places]
            found[f"feat_layer_{block}"] = np.ascontiguousarray(values).reshape(views, h, w, -1)
        return found


class _Fed(nn.Module):
    """A stage that also keeps its inputs."""

    def __init__(self, stage: nn.Module, inputs: list[Tensor]) -> None:
        super().__init__()
        self.stage, self.inputs = stage, inputs

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        self.inputs.append(features)
        found: tuple[Tensor, ...] = self.stage(features)
        return found


class _Kept(nn.Module):
    """A block that also keeps its outputs."""

    def __init__(self, block: nn.Module, outputs: list[Tensor]) -> None:
        super().__init__()
        self.block, self.outputs = block, outputs

    def forward(self, *arguments: Any) -> Tensor:
        found: Tensor = self.block(*arguments)
        self.outputs.append(found)
        return found
