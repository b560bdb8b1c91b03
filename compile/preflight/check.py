"""Preflight itself: lower, trace on the CPU, judge every node, estimate the memory."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Optional

import torch
from torch import Tensor, nn

from compile.graph import CONSTANT, LIST, PARAMETER, TUPLE, Graph, read_graph
from compile.lowering.passes import lower, stock
from compile.macs import count_macs
from compile.preflight import inf1, inf2
from compile.preflight.costs import costs
from compile.preflight.findings import Finding
from compile.preflight.memory import footprint, widest_mode
from compile.preflight.report import PreflightReport, Row, Work
from compile.preflight.shapes import shapes_traceable
from compile.shapes_only import without_values
from compile.targets.modes import Mode
from compile.targets.table import NEURON_PASSES, neuron_target
from compile.trace import trace
from depth.network.base import Network
from depth.sizes import size_text

_RULES = {"inf1": inf1, "inf2": inf2}
# What holds the graph together: judged like the rest, listed only if it fails.
_STRUCTURE = {CONSTANT, PARAMETER, LIST, TUPLE, "prim::ListUnpack", "prim::TupleUnpack"}
_LARGEST = 3


def preflight(
    network: Network,
    example: Tensor,
    target: str,
    passes: Optional[Sequence[str]] = NEURON_PASSES,
    mode: Optional[Mode] = None,
    counted: bool = True,
) -> PreflightReport:
    """Would a network lowered by these passes compile whole, and fit? The network is not changed.

    `example` is [B,3,H,W] at the network's size. `passes=None` takes the network as published.
    `counted=False` leaves the multiply-accumulates out. A network without values gives the same
    report. Raises TargetError, InputError (a pass that does not exist) or BuildError (not
    traceable).
    """
    neuron_target(target)
    lowered = lowered_for(network, passes)
    example = example.to(getattr(torch, lowered.image_dtype))
    work = Work(count_macs(lowered, example[:1]), costs(network, passes or ())) if counted else None
    program = f"{size_text(network.fixed_size)}-b{len(example)}"
    return check(lowered, (example,), target, program, mode, work)


def lowered_for(network: Network, passes: Optional[Sequence[str]]) -> Network:
    """The network by these passes, or as published; without values if it has none."""
    lowered = stock(network) if passes is None else lower(network, passes)
    if any(weights.is_meta for weights in network.parameters()):
        return without_values(lowered)  # what the passes have made too
    return lowered


def check(
    module: nn.Module,
    examples: Sequence[Tensor],
    target: str,
    program: str,
    mode: Optional[Mode] = None,
    work: Optional[Work] = None,
) -> PreflightReport:
    """Preflight of a lowered module: a whole network or a stage, called `program` in the report.

    The examples move to `meta` where the module is. Without a mode, memory is estimated for the
    target's widest. Raises TargetError or BuildError.
    """
    neuron_target(target)
    on_meta = any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers()))
    if on_meta:
        examples = [torch.empty_like(example, device="meta") for example in examples]
    with shapes_traceable() if on_meta else nullcontext():
        traced = trace(module, examples)
    graph = read_graph(traced)
    sizes = [(constant.name, constant.size_bytes) for constant in graph.constants]
    return PreflightReport(
        program,
        target,
        torch_version(),
        len(graph.nodes),
        judged(graph, target),
        sum(size_bytes for _, size_bytes in sizes),
        sorted(sizes, key=lambda size: size[1], reverse=True)[:_LARGEST],
        footprint(graph, mode or widest_mode(target)),
        work,
    )


def torch_version() -> str:
    """Without the suffix of a build."""
    return str(torch.__version__).split("+")[0]


def judged(graph: Graph, target: str) -> list[Row]:
    """Every node of a graph by kind and verdict: first what fails, then what is most frequent."""
    places: defaultdict[tuple[str, Finding], Counter[str]] = defaultdict(Counter)
    for operator, path, finding in _findings(graph, target):
        places[operator, finding][path] += 1
    rows = [
        Row(operator, finding.verdict, finding.remedy, dict(where))
        for (operator, finding), where in places.items()
    ]
    return sorted(rows, key=lambda row: (row.passed, -row.count, row.operator))


def _findings(graph: Graph, target: str) -> Iterator[tuple[str, str, Finding]]:
    rules = _RULES[target]
    for node in graph.nodes:
        finding = rules.judge(node)
        if not finding.passed or node.kind not in _STRUCTURE:
            yield node.kind, node.path, finding
    for side, values in (("input", graph.inputs), ("output", graph.outputs)):
        for index, value in enumerate(values):
            finding = rules.judge_port(value.dtype)
            if not finding.passed:
                yield f"program {side}", f"{side} {index}", finding
