"""What one image asks of a chip: products, weights, attention scores, input.

Counted on the network as the Neuron targets lower it, on shapes alone: no weight is made or read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Optional

from compile.products import ATTENTION, Product
from depth.family import Model
from depth.sizes import Size

if TYPE_CHECKING:
    from torch import Tensor, nn

    from depth.network.base import Network

VALUE_BYTES = 2  # on the device; the compiler casts weights and activations to 16 bit
HOST_VALUE_BYTES = 4  # float32 between host and device


@dataclass(frozen=True)
class Work:
    """One image through one program."""

    products: tuple[Product, ...]
    weights: float  # how many
    input_bytes: float  # from the host
    scores: int = 0  # attention scores of one layer, all heads
    layers: int = 0  # that have them
    all_scores: Optional[int] = None  # of all layers; None: they are alike

    @property
    def total_scores(self) -> int:
        return self.scores * self.layers if self.all_scores is None else self.all_scores

    @property
    def macs(self) -> dict[str, float]:
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
            self.total_scores + other.total_scores,
        )


@lru_cache(maxsize=64)
def work_of(model: Model, size: Size) -> tuple[Work, ...]:
    """A model at a size (height, width) in px: its stages, first to last, or all of it as one.

    Raises InputError if the network cannot have the size.
    """
    from compile.parts import parts

    stages = parts(_lowered(model, size), 1, split=True)
    return tuple(_work(part.module, part.examples) for part in stages)


@lru_cache(maxsize=64)
def scene_work_of(model: Model, size: Size, views: int) -> tuple[tuple[str, Work, bool], ...]:
    """Each stage of a model of scenes: its name, its work, and whether it knows all views.

    The other stages run once for each view. Raises InputError as `work_of`.
    """
    from compile.parts import parts

    return tuple(
        (part.stage.name, _work(part.module, part.examples), part.stage.of_scenes)
        for part in parts(_lowered(model, size), 1, views=views)
    )


@lru_cache(maxsize=8)
def _lowered(model: Model, size: Size) -> Network:
    from compile.lowering.passes import lower
    from compile.shapes_only import build_without_values
    from compile.targets.table import NEURON_PASSES

    network = build_without_values(model)
    network.fix_size(*size)
    return lower(network, NEURON_PASSES)


def _work(module: nn.Module, inputs: Sequence[Tensor]) -> Work:
    from compile.macs import products

    found = products(module, *inputs)
    # In pairs: queries with keys give the scores, those with values the result.
    scores = [product.macs // product.depth for product in found if product.kind == ATTENTION][::2]
    return Work(
        tuple(found),
        sum(tensor.numel() for tensor in (*module.parameters(), *module.buffers())),
        sum(tensor.numel() * tensor.element_size() for tensor in inputs),
        scores=max(scores, default=0),
        layers=len(scores),
        all_scores=sum(scores),
    )
