"""Upstream's encoder on our network: `from depth_anything_v2.dinov2 import DINOv2`.

Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", 2023.

Shapes: B batch | H W pixels | h w patch grid | N = 1 + h*w tokens | D width
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional, Union

import torch
from torch import Tensor, nn

from depth.errors import InputError
from depth.network.position import NATIVE_GRID
from depth.network.vit import Encoder
from depth_anything_v2.config import CONFIGS, SIZE
from depth_anything_v2.names import ENCODER, UnderTheirNames

Layers = tuple[Union[Tensor, tuple[Tensor, Tensor]], ...]

PATCH_PX = SIZE.multiple_px
# What upstream's functions are called with by `DINOv2`, and by default.
_FIXED: dict[str, Any] = {
    "img_size": 518,
    "patch_size": PATCH_PX,
    "init_values": 1.0,
    "block_chunks": 0,
    "num_register_tokens": 0,
    "interpolate_antialias": False,
    "interpolate_offset": 0.1,
}
_DEFAULTS: dict[str, Any] = {
    **_FIXED,
    "img_size": 224,
    "patch_size": 16,
    "init_values": None,
    "block_chunks": 1,
}
_FFN = {False: ("mlp",), True: ("swiglufused", "swiglu")}


class PatchEmbed:
    """Upstream's view of the patch embedding: `proj` is the convolution."""

    def __init__(self, encoder: Encoder, embed_dim: int) -> None:
        self.proj = encoder.patch_embed
        self.patch_size = (PATCH_PX, PATCH_PX)
        self.img_size = (SIZE.side_px, SIZE.side_px)
        self.patches_resolution = (NATIVE_GRID, NATIVE_GRID)
        self.num_patches = NATIVE_GRID**2
        self.embed_dim = embed_dim

    def __call__(self, x: Tensor) -> Tensor:  # [B,3,H,W] -> [B,h*w,D]
        return self.proj(x, *_grid(x))


class DinoVisionTransformer(UnderTheirNames):
    """Upstream's class of this name around one of our encoders.

    encoder    the encoder, whose weights it shares
    num_heads  of its attention

    `DINOv2(model_name)` makes one. State dict and parameters have upstream's names.
    """

    names = ENCODER

    def __init__(self, encoder: Encoder, num_heads: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.embed_dim: int = encoder.norm.normalized_shape[0]
        self.num_features, self.num_heads = self.embed_dim, num_heads
        self.num_tokens, self.num_register_tokens = 1, 0
        self.n_blocks, self.patch_size = len(encoder.blocks), PATCH_PX
        self.chunked_blocks = False
        self.interpolate_antialias, self.interpolate_offset = False, 0.1
        self.head = nn.Identity()
        # Trained with, and saved by upstream; no call here uses it.
        self.mask_token = nn.Parameter(torch.zeros(1, self.embed_dim))

    @property
    def blocks(self) -> nn.ModuleList:
        """Our blocks; a call of one takes the number of tokens too."""
        return self.encoder.blocks

    @property
    def norm(self) -> nn.LayerNorm:
        return self.encoder.norm

    @property
    def cls_token(self) -> nn.Parameter:
        found: nn.Parameter = self.encoder.position.cls_token  # type: ignore[assignment]
        return found

    @property
    def pos_embed(self) -> nn.Parameter:
        found: nn.Parameter = self.encoder.position.pos_embed  # type: ignore[assignment]
        return found

    @property
    def patch_embed(self) -> PatchEmbed:
        return PatchEmbed(self.encoder, self.embed_dim)

    def get_intermediate_layers(
        self,
        x: Tensor,
        n: Union[int, Sequence[int]] = 1,
        reshape: bool = False,
        return_class_token: bool = False,
        norm: bool = True,
    ) -> Layers:
        """Patch tokens [B,h*w,D] after some blocks, as upstream's method of this name.

        x                   [B,3,H,W]; H, W multiples of 14
        n                   the numbers of the blocks, or how many of the last
        reshape             as maps [B,D,h,w]
        return_class_token  pairs with the class token [B,D]
        norm                after the last LayerNorm

        Raises InputError for a size or a block that there is not.
        """
        count = self.n_blocks
        wanted = list(range(count - n, count) if isinstance(n, int) else n)
        if not wanted or len(set(wanted)) != len(wanted) or not set(wanted) <= set(range(count)):
            raise InputError(
                f"n {n}: expected numbers of blocks below {count}, or how many of the last"
            )
        found = [out for i, out in enumerate(self._outputs(x)) if i in wanted]
        found = [self.norm(out) for out in found] if norm else found
        maps = [out[:, 1:] for out in found]
        if reshape:
            h, w = _grid(x)
            maps = [m.reshape(len(x), h, w, -1).permute(0, 3, 1, 2).contiguous() for m in maps]
        return tuple(zip(maps, [out[:, 0] for out in found])) if return_class_token else tuple(maps)

    def forward_features(self, x: Tensor, masks: Optional[Tensor] = None) -> dict[str, Any]:
        """Tokens after the last block, by upstream's names. Raises InputError for masks."""
        tokens = list(self._outputs(x, masks))[-1]
        normal = self.norm(tokens)
        return {
            "x_norm_clstoken": normal[:, 0],
            "x_norm_regtokens": normal[:, 1:1],
            "x_norm_patchtokens": normal[:, 1:],
            "x_prenorm": tokens,
            "masks": masks,
        }

    def forward(self, x: Tensor, masks: Optional[Tensor] = None, is_training: bool = False) -> Any:
        """The class token [B,D] after the last LayerNorm; with `is_training` every feature."""
        found = self.forward_features(x, masks)
        return found if is_training else self.head(found["x_norm_clstoken"])

    def prepare_tokens_with_masks(self, x: Tensor, masks: Optional[Tensor] = None) -> Tensor:
        """Tokens [B,N,D] before the first block. Raises InputError for masks."""
        if masks is not None:
            raise InputError("masks: DINOv2's own training has them; leave them out")
        h, w = _grid(x)
        encoder = self.encoder
        tokens: Tensor = encoder.with_class_token(
            encoder.patch_embed(x, h, w), encoder.position(h, w)
        )
        return tokens

    def _outputs(self, x: Tensor, masks: Optional[Tensor] = None) -> list[Tensor]:
        """[B,N,D] after each block."""
        tokens, found = self.prepare_tokens_with_masks(x, masks), []
        for block in self.blocks:
            tokens = block(tokens, tokens.shape[1])
            found.append(tokens)
        return found


def DINOv2(model_name: str) -> DinoVisionTransformer:  # noqa: N802 - upstream's name
    """The encoder of vits, vitb, vitl or vitg. Raises InputError for another name."""
    if model_name not in CONFIGS:
        raise InputError(f"model_name {model_name!r}: choose from {', '.join(CONFIGS)}")
    c = CONFIGS[model_name]
    encoder = Encoder(c.embed_dim, c.depth, c.num_heads, c.taps, c.swiglu, PATCH_PX, c.norm_eps)
    return DinoVisionTransformer(encoder, c.num_heads)


def vit_small(**options: Any) -> DinoVisionTransformer:
    """Upstream's function, for the options that `DINOv2` gives it. Raises InputError for others."""
    return _checked("vits", options)


def vit_base(**options: Any) -> DinoVisionTransformer:
    """As `vit_small`."""
    return _checked("vitb", options)


def vit_large(**options: Any) -> DinoVisionTransformer:
    """As `vit_small`."""
    return _checked("vitl", options)


def vit_giant2(**options: Any) -> DinoVisionTransformer:
    """As `vit_small`."""
    return _checked("vitg", options)


def _checked(model_name: str, options: dict[str, Any]) -> DinoVisionTransformer:
    ffn = _FFN[CONFIGS[model_name].swiglu]
    given = {**_DEFAULTS, "ffn_layer": "mlp", **options}
    wrong = [f"{name}={given[name]!r}" for name, only in _FIXED.items() if given[name] != only]
    wrong += [f"ffn_layer={given['ffn_layer']!r}"] * (given["ffn_layer"] not in ffn)
    wrong += [name for name in given if name not in (*_FIXED, "ffn_layer")]
    if wrong:
        raise InputError(
            f"{', '.join(wrong)}: no encoder of Depth Anything V2 has that; call "
            f"DINOv2({model_name!r})"
        )
    return DINOv2(model_name)


def _grid(x: Tensor) -> tuple[int, int]:
    height, width = int(x.shape[-2]), int(x.shape[-1])
    SIZE.check((height, width))
    return height // PATCH_PX, width // PATCH_PX
