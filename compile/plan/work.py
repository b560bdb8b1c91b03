"""What one image asks of a chip: products, weights, attention scores, input.

The network as the Neuron targets lower it: patches and resizes are matrix products. The counts are
formulas of the configuration and the size; compile/macs.py counts the same on the network itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from depth.family import PATCH_PX
from depth_anything_v2.config import ModelConfig

LINEAR, ATTENTION, CONV, RESIZE = "linear", "attention", "conv", "resize"

VALUE_BYTES = 2  # on the device; the compiler casts weights and activations to 16 bit
HOST_VALUE_BYTES = 4  # float32 between host and device


@dataclass(frozen=True)
class Product:
    """Matrix products of one shape: sums over `depth` inputs, for `width` outputs."""

    kind: str
    macs: float
    depth: int
    width: int


@dataclass(frozen=True)
class Work:
    """One image through one program."""

    products: tuple[Product, ...]
    weights: float  # how many
    input_bytes: float  # from the host
    scores: int = 0  # attention scores of one layer, all heads
    layers: int = 0  # that have them

    @property
    def macs(self) -> dict[str, float]:
        """Multiply-accumulates by kind."""
        found: defaultdict[str, float] = defaultdict(float)
        for product in self.products:
            found[product.kind] += product.macs
        return dict(found)

    def __add__(self, other: Work) -> Work:
        """One program that does both: what is handed on stays on the device."""
        return Work(
            self.products + other.products,
            self.weights + other.weights,
            self.input_bytes,
            max(self.scores, other.scores),
            max(self.layers, other.layers),
        )


def encoder_work(config: ModelConfig, size: tuple[int, int]) -> Work:
    """The encoder at a size (height, width) in px."""
    height, width = size
    patches = (height // PATCH_PX) * (width // PATCH_PX)
    tokens, dim = patches + 1, config.embed_dim
    patch_values = 3 * PATCH_PX**2
    products = [Product(LINEAR, patches * patch_values * dim, patch_values, dim)]
    for _ in range(config.depth):
        products += _block(tokens, dim, config.num_heads, config.swiglu)
    weights = sum(p.depth * p.width for p in products if p.kind == LINEAR)
    return Work(
        tuple(products),
        weights + tokens * dim,  # the position embedding
        HOST_VALUE_BYTES * 3 * height * width,
        scores=config.num_heads * tokens**2,
        layers=config.depth,
    )


def _block(tokens: int, dim: int, num_heads: int, swiglu: bool) -> Iterator[Product]:
    head_dim = dim // num_heads
    gated = (4 * dim * 2 // 3 + 7) // 8 * 8
    mlp = ((dim, 2 * gated), (gated, dim)) if swiglu else ((dim, 4 * dim), (4 * dim, dim))
    for depth, width in ((dim, 3 * dim), (dim, dim), *mlp):
        yield Product(LINEAR, tokens * depth * width, depth, width)
    yield Product(ATTENTION, tokens**2 * dim, head_dim, tokens)
    yield Product(ATTENTION, tokens**2 * dim, tokens, head_dim)


def decoder_work(config: ModelConfig, size: tuple[int, int]) -> Work:
    """The decoder at a size (height, width) in px, given its four token maps by the host."""
    grid = (size[0] // PATCH_PX, size[1] // PATCH_PX)
    convs, products = [*_convs(config, grid)], []
    for pixels, depth, width, taps in convs:
        products.append(Product(CONV, pixels * depth * width * taps, depth, width))
    return Work(
        (*products, *_resizes(config.decoder_dim, grid)),
        sum(depth * width * taps for _, depth, width, taps in convs),
        HOST_VALUE_BYTES * 4 * config.embed_dim * grid[0] * grid[1],
    )


def _convs(
    config: ModelConfig, grid: tuple[int, int]
) -> Iterator[tuple[int, int, int, int]]:  # pixels, inputs, outputs, taps
    dim = config.decoder_dim
    s0, s1, s2, s3 = (_pixels(area) for area in _stages(grid))
    patches = grid[0] * grid[1]
    for channels in config.stage_dims:
        yield patches, config.embed_dim, channels, 1
    first, second, _, last = config.stage_dims
    # A transposed convolution multiplies every input pixel with all its taps.
    yield patches, first, first, 16
    yield patches, second, second, 4
    yield s3, last, last, 9
    for pixels, channels in zip((s0, s1, s2, s3), config.stage_dims):
        yield pixels, channels, dim, 9
    # The coarsest fusion has no skip, and so one residual unit of two convolutions.
    for pixels, count, after in ((s3, 2, s2), (s2, 4, s1), (s1, 4, s0), (s0, 4, 4 * s0)):
        yield from [(pixels, dim, dim, 9)] * count
        yield after, dim, dim, 1
    yield 4 * s0, dim, dim // 2, 9
    image = patches * PATCH_PX**2
    yield image, dim // 2, 32, 9
    yield image, 32, 1, 1


def _resizes(dim: int, grid: tuple[int, int]) -> Iterator[Product]:
    """Each as rows @ x @ columns, in the cheaper order, as compile/lowering/resize.py does it."""
    h, w = grid
    s0, s1, s2, s3 = _stages(grid)
    finest = (8 * h, 8 * w)
    for before, after, channels in (
        (s3, s2, dim),
        (s2, s1, dim),
        (s1, s0, dim),
        (s0, finest, dim),
        (finest, (h * PATCH_PX, w * PATCH_PX), dim // 2),
    ):
        (h0, w0), (h1, w1) = before, after
        across, down = w0 * h0 * w1 + h0 * h1 * w1, h0 * w0 * h1 + w0 * h1 * w1
        yield Product(RESIZE, channels * min(across, down), min(h0, w0), min(h1, w1))


def _stages(grid: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Heights and widths of the four stages, finest first."""
    h, w = grid
    return (4 * h, 4 * w), (2 * h, 2 * w), (h, w), ((h + 1) // 2, (w + 1) // 2)


def _pixels(area: tuple[int, int]) -> int:
    return area[0] * area[1]
