"""Two networks as one: depth and cameras of any number of views, and how long a metre is."""

from __future__ import annotations

from torch import Tensor, nn

from depth.family import Model
from depth.network.base import Network
from depth.steps.stages import METRIC
from depth_anything_3.anyview.config import NestedModel
from depth_anything_3.anyview.network import AnyViewNetwork
from depth_anything_3.mono.network import MonoNetwork


class NestedNetwork(Network):
    """The stages of both networks; a call is that of the first, without metres."""

    untrained = tuple(
        (f"any_view.{start}", bias, share) for start, bias, share in AnyViewNetwork.untrained
    )

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        nested: NestedModel = model.config
        self.any_view, self.metric = AnyViewNetwork(nested.any_view), MonoNetwork(nested.metric)

    def fix_size(self, height_px: int, width_px: int) -> None:
        """As `Network.fix_size`, of both networks."""
        self.any_view.fix_size(height_px, width_px)
        self.metric.fix_size(height_px, width_px)
        self.size = height_px, width_px

    def stage(self, name: str, views: int = 1) -> nn.Module:
        """As `AnyViewNetwork.stage`, and `metric`: images to depth and sky."""
        return self.metric if name == METRIC else self.any_view.stage(name, views)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:  # [B,3,H,W] -> 2 x [B,H,W]
        found: tuple[Tensor, ...] = self.any_view(images)
        return found
