"""DINOv2 vision transformer, inference only: the blocks.

Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", 2023.

No block keeps a size: each call has the patch grid and the number of tokens as plain ints. Each
step that a lowering pass may replace is a module, and the replacement takes the same arguments.

Shapes: B batch | H W pixels | h w patch grid | N = 1 + h*w tokens | D width | K heads
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from depth.network.position import ResampledPosition

LAYER_NORM_EPS = 1e-6


class Scale(nn.Module):
    """Multiply by a number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class LayerScale(nn.Module):
    """Multiply each channel by a trained number.

    Touvron et al., "Going deeper with image transformers", 2021.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:  # [B,N,D] -> [B,N,D]
        return x * self.gamma


class Attend(nn.Module):
    """Attention of all queries at once: logits [B,K,N,N]."""

    def forward(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        tokens: int,  # noqa: ARG002 - for a replacement that has to know it
    ) -> Tensor:  # 3 x [B,K,N,D/K] -> the same
        return (q @ k.transpose(-2, -1)).softmax(dim=-1) @ v


class Attention(nn.Module):
    """Multi-head self-attention, written out: one path on every torch version and compiler."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.dim, self.num_heads, self.head_dim = dim, num_heads, dim // num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.scale: nn.Module = Scale(self.head_dim**-0.5)
        self.attend: nn.Module = Attend()
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, tokens: int) -> Tensor:  # [B,N,D] -> [B,N,D]
        qkv = self.qkv(x)  # [B,N,3*D]; by slices: torch-neuron has no place for chunk and split
        q = self._heads(qkv[..., : self.dim], tokens)
        k = self._heads(qkv[..., self.dim : 2 * self.dim], tokens)
        v = self._heads(qkv[..., 2 * self.dim :], tokens)
        return self.proj(self.attend(self.scale(q), k, v, tokens).transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor, tokens: int) -> Tensor:  # [B,N,D] -> [B,K,N,D/K]
        return x.reshape(-1, tokens, self.num_heads, self.head_dim).transpose(1, 2)


class Mlp(nn.Module):
    """Feed-forward; `last` is its last layer."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    @property
    def last(self) -> nn.Linear:
        return self.fc2

    def forward(self, x: Tensor) -> Tensor:  # [B,N,D] -> [B,N,D]
        return self.fc2(F.gelu(self.fc1(x)))


class SwiGlu(nn.Module):
    """Gated feed-forward of the giant size (Shazeer, "GLU Variants Improve Transformer", 2020)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        # Two thirds of the usual 4*dim keeps the parameter count; rounded up to a multiple of 8.
        self.hidden = (4 * dim * 2 // 3 + 7) // 8 * 8
        self.w12 = nn.Linear(dim, 2 * self.hidden)
        self.w3 = nn.Linear(self.hidden, dim)

    @property
    def last(self) -> nn.Linear:
        return self.w3

    def forward(self, x: Tensor) -> Tensor:  # [B,N,D] -> [B,N,D]
        both = self.w12(x)
        return self.w3(F.silu(both[..., : self.hidden]) * both[..., self.hidden :])


class Block(nn.Module):
    """Attention and feed-forward, each scaled and added to its input.

    layer_scale  False for vision transformers before DINOv2, which add them as they are
    """

    def __init__(
        self, dim: int, num_heads: int, swiglu: bool = False, layer_scale: bool = True
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.attn = Attention(dim, num_heads)
        self.scale1: nn.Module = LayerScale(dim) if layer_scale else nn.Identity()
        self.norm2 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.mlp = SwiGlu(dim) if swiglu else Mlp(dim)
        self.scale2: nn.Module = LayerScale(dim) if layer_scale else nn.Identity()

    def forward(self, x: Tensor, tokens: int) -> Tensor:  # [B,N,D] -> [B,N,D]
        x = x + self.scale1(self.attn(self.norm1(x), tokens))
        return x + self.scale2(self.mlp(self.norm2(x)))


class PatchConvolution(nn.Conv2d):
    """Image to patch tokens: kernel and stride of one patch. Weight [D,3,patch,patch]."""

    def __init__(self, dim: int, patch_px: int) -> None:
        super().__init__(3, dim, kernel_size=patch_px, stride=patch_px)
        self.patch_px = patch_px

    def forward(  # type: ignore[override]
        self,
        images: Tensor,
        h: int,  # noqa: ARG002 - for a replacement that has to know the grid
        w: int,  # noqa: ARG002
    ) -> Tensor:  # [B,3,H,W] -> [B,h*w,D]
        return super().forward(images).flatten(2).transpose(1, 2)


class ClassTokenFirst(nn.Module):
    """Put the class token in front of the patch tokens.

    A zero row becomes the class token when the position is added: no batch arithmetic. A network
    with this block finds its tokens by `PatchTokens`, `ClassToken` and `OtherClassToken` alone, so
    that a pass may move the class token.
    """

    def forward(self, patches: Tensor, position: Tensor) -> Tensor:  # [B,h*w,D], [1,N,D] -> [B,N,D]
        return torch.constant_pad_nd(patches, (0, 0, 1, 0)) + position


class PatchTokens(nn.Module):
    """Drop the class token, which is the first token."""

    def forward(self, x: Tensor, tokens: int) -> Tensor:  # noqa: ARG002 - [B,N,D] -> [B,h*w,D]
        return x[:, 1:]


class ClassToken(nn.Module):
    """Drop the patch tokens."""

    def forward(self, x: Tensor, tokens: int) -> Tensor:  # noqa: ARG002 - [B,N,D] -> [B,D]
        return x[:, 0]


class OtherClassToken(nn.Module):
    """Put another token in the place of the class token."""

    def forward(self, token: Tensor, patches: Tensor) -> Tensor:  # [..,1,D], [..,h*w,D] -> [..,N,D]
        return torch.cat((token, patches), dim=-2)


class Encoder(nn.Module):
    """Image to token maps.

    taps      blocks whose output is returned, after the last LayerNorm
    norm_eps  of that LayerNorm; Depth Anything V2 has 1e-6, Depth Anything 3 1e-5
    """

    def __init__(
        self,
        dim: int,
        depth: int,
        num_heads: int,
        taps: Sequence[int],
        swiglu: bool = False,
        patch_px: int = 14,
        norm_eps: float = LAYER_NORM_EPS,
    ) -> None:
        super().__init__()
        self.taps, self.patch_px = tuple(taps), patch_px
        self.patch_embed: nn.Module = PatchConvolution(dim, patch_px)
        self.position: nn.Module = ResampledPosition(dim)
        self.with_class_token: nn.Module = ClassTokenFirst()
        self.patch_tokens: nn.Module = PatchTokens()
        self.blocks = nn.ModuleList([Block(dim, num_heads, swiglu) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim, eps=norm_eps)

    def forward(self, images: Tensor, h: int, w: int) -> list[Tensor]:
        """[B,3,H,W] -> as many as there are taps x [B,h*w,D]."""
        tokens = 1 + h * w
        x = self.with_class_token(self.patch_embed(images, h, w), self.position(h, w))  # [B,N,D]
        features = []
        for index, block in enumerate(self.blocks):
            x = block(x, tokens)
            if index in self.taps:
                features.append(self.patch_tokens(self.norm(x), tokens))
        return features
