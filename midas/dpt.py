"""DPT-Large and DPT-Hybrid: a vision transformer that keeps its class token, and a DPT decoder.

Ranftl, Bochkovskiy and Koltun, "Vision Transformers for Dense Prediction", 2021.

Shapes: B batch | H W pixels | h w patch grid | N = 1 + h*w tokens | D encoder width
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from depth.errors import InputError
from depth.family import DEPTH, Model
from depth.network.base import Network
from depth.network.convolution import ImageInput
from depth.network.dpt import Decoder, Pyramid
from depth.network.position import BilinearPosition, settle
from depth.network.vit import Block, ClassToken, ClassTokenFirst, PatchConvolution, PatchTokens
from midas.config import DptConfig
from midas.resnet import ResNet

_GAIN = 0.2  # as of untrained blocks without LayerScale


class Readout(nn.Module):
    """Patch tokens that know the class token: both through a layer, then GELU.

    Upstream's one layer over both tokens side by side is the sum of these two, and theirs runs the
    class token's half once for each patch.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.patches = nn.Linear(dim, dim)
        self.class_token = nn.Linear(dim, dim, bias=False)
        self.take_patches: nn.Module = PatchTokens()
        self.take_class_token: nn.Module = ClassToken()

    def forward(self, x: Tensor, tokens: int) -> Tensor:  # [B,N,D] -> [B,h*w,D]
        token = self.class_token(self.take_class_token(x, tokens)).reshape(-1, 1, self.dim)
        return F.gelu(self.patches(self.take_patches(x, tokens)) + token)


class CellProjection(nn.Conv2d):
    """Each cell of a feature map becomes a token."""

    def __init__(self, in_dim: int, dim: int) -> None:
        super().__init__(in_dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:  # [B,C,h,w] -> [B,h*w,D]
        return super().forward(x).flatten(2).transpose(1, 2)


class Transformer(nn.Module):
    """Image to four token maps, or to two feature maps of a ResNet and two token maps."""

    def __init__(self, config: DptConfig) -> None:
        super().__init__()
        dim = config.embed_dim
        self.taps = config.taps
        if config.resnet:
            dims = [config.stage_dims[0] * 2**stage for stage in range(len(config.resnet))]
            self.images: nn.Module = ImageInput()
            self.backbone = ResNet(config.resnet, dims)
            self.patch_embed: nn.Module = CellProjection(dims[-1], dim)
        else:
            self.patch_embed = PatchConvolution(dim, config.patch_px)
        self.position: nn.Module = BilinearPosition(dim, config.native_grid)
        self.with_class_token: nn.Module = ClassTokenFirst()
        self.blocks = nn.ModuleList(
            [Block(dim, config.num_heads, layer_scale=False) for _ in range(config.depth)]
        )
        first = 4 - len(self.taps)  # the stage of the decoder after the first tap
        self.readout = nn.ModuleDict({str(first + i): Readout(dim) for i in range(len(self.taps))})

    def forward(self, images: Tensor, h: int, w: int) -> list[Tensor]:
        """[B,3,H,W] -> per stage of the decoder [B,h*w,D], or [B,C,.,.] of the ResNet."""
        tokens = 1 + h * w
        patches, features = self._patches(images, h, w)
        x = self.with_class_token(patches, self.position(h, w))  # [B,N,D]
        readouts = iter(self.readout.values())
        for index, block in enumerate(self.blocks):
            x = block(x, tokens)
            if index in self.taps:
                features.append(next(readouts)(x, tokens))
        return features

    def _patches(self, images: Tensor, h: int, w: int) -> tuple[Tensor, list[Tensor]]:
        if isinstance(self.patch_embed, CellProjection):
            *finer, last = self.backbone(self.images(images))
            return self.patch_embed(last), finer
        return self.patch_embed(images, h, w), []


class HybridPyramid(Pyramid):
    """The two finest stages are feature maps already, and come in the decoder's sizes."""

    def __init__(self, config: DptConfig) -> None:
        super().__init__(config.embed_dim, config.decoder_dim, config.stage_dims)
        for stage in range(4 - len(config.taps)):
            self.project[stage] = self.resize[stage] = nn.Identity()

    def _stage(self, i: int, tokens: Tensor, h: int, w: int) -> Tensor:
        if isinstance(self.project[i], nn.Identity):
            return self.adapt[i](tokens)
        return super()._stage(i, tokens, h, w)


def _untrained(config: DptConfig) -> tuple[tuple[str, float, float], ...]:
    """The last norm of each residual branch has a small gain: rounding errors do not grow.

    Trained networks begin with 0 there (Goyal et al., "Accurate, Large Minibatch SGD", 2017).
    """
    blocks = [(stage, block) for stage, n in enumerate(config.resnet) for block in range(n)]
    start = "encoder.backbone.stages"
    return tuple((f"{start}.{s}.{b}.widen.norm.weight", _GAIN, 1.0) for s, b in blocks)


class MidasDpt(Network):
    """Image [B,3,H,W] to depth [B,H,W]: inverse depth >= 0. H and W are multiples of 32.

    activation  of the last layer; upstream's `non_negative=False` leaves it out
    """

    def __init__(self, model: Model, activation: nn.Module) -> None:
        super().__init__(model)
        c: DptConfig = model.config
        self.untrained = _untrained(c)
        self.encoder = Transformer(c)
        self.decoder = Decoder(c.embed_dim, c.decoder_dim, c.stage_dims, {DEPTH: activation})
        if c.resnet:
            self.decoder.pyramid = HybridPyramid(c)

    def fix_size(self, height_px: int, width_px: int) -> None:
        """Settle the position embedding for one size; calls then take images of this size only."""
        self.check_movable((height_px, width_px))
        patch_px = self.model.config.patch_px
        settle(self.encoder, height_px // patch_px, width_px // patch_px)
        self.size = (height_px, width_px)

    def stage(self, name: str, views: int = 1) -> nn.Module:  # noqa: ARG002 - one view only
        """This network is always run whole. Raises InputError."""
        raise InputError(f"no stage {name!r}: {self.model.name} is run whole")

    def forward(self, images: Tensor) -> Tensor:  # [B,3,H,W] -> [B,H,W]
        height, width = size = self.size_of(images)
        patch_px = self.model.config.patch_px
        grid = height // patch_px, width // patch_px
        (depth,) = self.decoder(self.encoder(images, *grid), *grid, size)
        return depth
