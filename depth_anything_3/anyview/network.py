"""The network of any number of views: encoder, decoder, and the networks of cameras."""

from __future__ import annotations

from torch import Tensor, nn

from depth.errors import InputError
from depth.family import Model
from depth.network.base import Network
from depth.network.position import settle
from depth.sizes import Size, size_text
from depth.steps.stages import CAMERAS, HEAD, PREFIX, RAYS, TRUNK
from depth_anything_3.anyview.camera_networks import (
    CameraDecoder,
    CameraEncoder,
    CamerasStage,
)
from depth_anything_3.anyview.config import AnyViewConfig
from depth_anything_3.anyview.decoder import DualDecoder, HeadStage
from depth_anything_3.anyview.encoder import AnyViewEncoder, PrefixStage, TrunkStage
from depth_anything_3.anyview.gaussians import GaussianDecoder, GaussianStage

_UNTRAINED = (
    # The angle of view ends in a ReLU: near 1 radian it is over 0, so that focal lengths are those
    # of cameras. Its weights and those before an exponential are small: values stay near the bias.
    ("camera_decoder.field_of_view.", 1.0, 0.05),
    # A quaternion is about 1 long, as of a trained network: a short one turns with every rounding.
    ("camera_decoder.rotation.", 0.5, 0.3),
    ("decoder.depth.conv2.", 1.0, 0.3),
    ("decoder.rays.conv2.", 0.5, 0.3),
)


class AnyViewNetwork(Network):
    """Encoder and decoder in stages, of the dimensions in `model.config`.

    `prefix` and `head` take views of any scenes; `cameras` and `trunk` have a number of views. The
    work between the stages is in `depth/steps/views.py`. A call takes each image as a scene of its
    own. Trace the stages, not the call: they have the constants of their size.
    """

    untrained = _UNTRAINED

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        config: AnyViewConfig = model.config
        self.encoder = AnyViewEncoder(config, model.size.multiple_px)
        self.decoder = DualDecoder(config)
        self.camera_decoder = CameraDecoder(2 * config.embed_dim)
        self.camera_encoder = CameraEncoder(config.embed_dim)
        self.gaussians = GaussianDecoder(config) if config.gaussians else None

    def fix_size(self, height_px: int, width_px: int) -> None:
        """Settle the position embedding for one size; see `SingleView.fix_size`."""
        size = height_px, width_px
        self.model.size.check(size)
        if self.passes:
            raise InputError(f"a lowered network keeps its size {size_text(self.fixed_size)}")
        settle(self.encoder, *self.grid(size))
        self.size = size

    def stage(self, name: str, views: int = 1) -> nn.Module:
        """A stage at the fixed size; `views` is of cameras and trunk."""
        return self.stage_at(self.fixed_size, name, views)

    def stage_at(self, size: Size, name: str, views: int = 1) -> nn.Module:
        """As `stage`, at any size that `check` lets pass."""
        if name == PREFIX:
            return self.prefix(size)
        if name == CAMERAS:
            return self.cameras(views)
        if name == TRUNK:
            return self.trunk(size, views)
        if name in (HEAD, RAYS):
            return self.head(size, rays=name == RAYS)
        names = ", ".join((PREFIX, CAMERAS, TRUNK, HEAD, RAYS))
        raise InputError(f"no stage {name!r}; choose from {names}")

    def prefix(self, size: Size) -> PrefixStage:
        """The first stage, at any size that `check` lets pass."""
        return PrefixStage(self.encoder, self.grid(self.check(size)))

    def cameras(self, views: int) -> CamerasStage:
        """What makes camera tokens, for scenes of `views` views. Raises InputError for no views."""
        token = self.encoder.camera_token
        return CamerasStage(self.camera_encoder, token, _checked(views))

    def trunk(self, size: Size, views: int) -> TrunkStage:
        """The stage of all views, for scenes of `views` views. Raises InputError for no views."""
        grid = self.grid(self.check(size))
        return TrunkStage(self.encoder, self.camera_decoder, grid, _checked(views))

    def head(self, size: Size, rays: bool = False) -> HeadStage:
        """The last stage; `rays`: with the branch of rays."""
        return HeadStage(self.decoder, self.grid(self.check(size)), size, rays)

    def gaussian_stage(self, size: Size) -> GaussianStage:
        """The stage of Gaussians, beside the head. Raises InputError if the model has none."""
        if self.gaussians is None:
            raise InputError(f"{self.model.name} gives no Gaussians; da3-giant does")
        return GaussianStage(self.gaussians, self.grid(self.check(size)), size)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:  # [B,3,H,W] -> 2 x [B,H,W]
        size = int(images.shape[-2]), int(images.shape[-1])
        tokens, _ = self.prefix(size)(images)
        camera_tokens = self.encoder.camera_token[:, :1].expand(len(images), -1, -1)
        features, _ = self.trunk(size, 1)(tokens[:, None], camera_tokens)
        return self.head(size)(features[:, 0])

    def check(self, size: Size) -> Size:
        """The size. Raises InputError for another than the fixed size, or a size of no network."""
        if self.size is not None and size != self.size:
            raise InputError(
                f"images of {size_text(size)} px: the network is fixed at {size_text(self.size)}; "
                "fix_size moves it"
            )
        self.model.size.check(size)
        return size

    def grid(self, size: Size) -> tuple[int, int]:
        patch_px = self.encoder.patch_px
        return size[0] // patch_px, size[1] // patch_px


def _checked(views: int) -> int:
    if views < 1:
        raise InputError(f"{views} views: a scene has at least 1")
    return views


def build(model: Model) -> AnyViewNetwork:
    """The network of a row of `ANY_VIEW_MODELS`, weights as torch makes them, at no fixed size."""
    return AnyViewNetwork(model)
