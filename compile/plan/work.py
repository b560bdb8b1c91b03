"""What one image asks of a chip: products, weights, attention scores, input.

Counted on the network as the Neuron targets lower it, on shapes alone: no weight is made or read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from compile.lowering.passes import lower
from compile.macs import ATTENTION, RESIZE, Product, products
from compile.parts import parts
from compile.shapes_only import build_without_values
from compile.targets.protocols import Part
from compile.targets.table import NEURON_PASSES
from depth.family import Model
from depth.sizes import Size

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

    @property
    def macs(self) -> dict[str, float]:
        """Multiply-accumulates by kind."""
        found: defaultdict[str, float] = defaultdict(float)
        for product in self.products:
            found[product.kind] += product.macs
        return dict(found)


@lru_cache(maxsize=64)
def work_of(model: Model, size: Size, split: bool) -> tuple[Work, ...]:
    """A model at a size (height, width) in px: the whole network, or each of its stages.

    Raises InputError if the network cannot have the size.
    """
    network = build_without_values(model)
    network.fix_size(*size)
    return tuple(map(_work, parts(lower(network, NEURON_PASSES), 1, apart=split)))


def _work(part: Part) -> Work:
    found = products(part.module, part.examples)
    scores = _largest([product for product in found if product.kind == ATTENTION])
    values = sum(example.numel() for example in part.examples)
    return Work(
        tuple(found),
        _weights(part, found),
        HOST_VALUE_BYTES * values,
        scores[0].values if scores else 0,
        len(scores),
    )


def _weights(part: Part, found: Sequence[Product]) -> float:
    """Parameters and constants, without those that resize: they are not weights."""
    tensors = {id(tensor): tensor for tensor in (*part.module.parameters(), *part.module.buffers())}
    resizing = sum(product.depth * product.width for product in found if product.kind == RESIZE)
    return sum(tensor.numel() for tensor in tensors.values()) - resizing


def _largest(attention: Sequence[Product]) -> list[Product]:
    """The products of queries and keys: of each pair they give more values than the other."""
    most = max((product.values for product in attention), default=0)
    return [product for product in attention if product.values == most]
