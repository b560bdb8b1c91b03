"""Running programs: the operator `neuron::forward_v2_1`, which no saved program can do without."""

from __future__ import annotations

from typing import Any, Optional, Union

from neuron_base import loading, runtime
from neuron_base.cores import Cores
from neuron_base.device import has_device, need_device
from torch import Tensor

CORES = Cores(4, core_bytes=2_000_000_000)
is_available = has_device
_OPERATOR = "neuron::forward_v2_1"


def forward(inputs: list[Tensor], neff: Tensor) -> list[Tensor]:
    return runtime.forward(inputs, neff, runtime.opened(neff)[0].dynamic_batch, CORES)


def bind(program: Any) -> Optional[loading.Bound]:
    """The model of a program; every sub-graph of it needs the chip, also beside the CPU."""
    calls = program.graph.findAllNodes(_OPERATOR)
    others = [node for node in program.graph.nodes() if node.kind().startswith("aten::")]
    if len(calls) != 1 or others:
        need_device()
        return None
    neff = list(calls[0].inputs())[1].toIValue()
    (unpacked,) = program.graph.findAllNodes("prim::ListUnpack")
    names = [value.debugName() for value in unpacked.outputs()]
    (result,) = program.graph.outputs()
    if result.node().kind() == "prim::TupleConstruct":
        places: Union[int, list[int]] = [names.index(v.debugName()) for v in result.node().inputs()]
    else:
        places = names.index(result.debugName())
    dynamic = runtime.opened(neff)[0].dynamic_batch
    return loading.Bound(runtime.Model(neff, CORES), dynamic, places)


runtime.define("forward_v2_1(Tensor[] inputs, Tensor neff) -> Tensor[]", forward)
loading.install(bind)
