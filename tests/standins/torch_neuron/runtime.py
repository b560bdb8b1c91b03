"""Running programs: the operator `neuron::forward_v2_1`, which no saved program can do without."""

from __future__ import annotations

from neuron_base import runtime
from torch import Tensor

is_available = runtime.gives_real_numbers


def forward(inputs: list[Tensor], neff: Tensor) -> list[Tensor]:
    """Off the chip it gives numbers too, and they are wrong."""
    header, _ = runtime.opened(neff)
    return runtime.run(inputs, neff, header.dynamic_batch)


runtime.define("forward_v2_1(Tensor[] inputs, Tensor neff) -> Tensor[]", forward)
