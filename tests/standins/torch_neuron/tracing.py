"""`torch_neuron.trace` and `analyze_model`: what goes where, and what the log says about it."""

from __future__ import annotations

import logging
import subprocess
import warnings
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Callable, Optional

import torch
from torch import Tensor, nn

from torch_neuron.compiling import Compiler
from torch_neuron.operators import STRUCTURE, SUPPORTED, UNPACKING, on_chip, refusal
from torch_neuron.partition import Copy, Segment, needed, results, segments

logger = logging.getLogger("Neuron")
logger.setLevel(logging.INFO)
_MORE = "(For more information see https://awsdocs-neuron.readthedocs-hosted.com)"


class Optimization:
    FLOAT32_TO_FLOAT16 = "FLOAT32_TO_FLOAT16"


@dataclass
class _Outcome:
    segment: Segment
    neff: Optional[bytes]  # None: it stays on the CPU
    failed: bool = False


def trace(
    func: Callable[..., Any],
    example_inputs: Any,
    *,
    compiler_args: Optional[Sequence[str]] = None,
    compiler_timeout: Optional[float] = None,
    compiler_workdir: Optional[str] = None,
    subgraph_builder_function: Optional[Callable[[Any], bool]] = None,
    minimum_segment_size: int = 2,
    single_fusion_ratio_threshold: float = 0.6,
    fallback: bool = True,
    dynamic_batch_size: bool = False,
    optimizations: Sequence[str] = (),
    separate_weights: bool = False,
    **for_torch: Any,
) -> torch.jit.ScriptModule:
    """Unknown keywords go to torch.jit.trace, which refuses them."""
    if subgraph_builder_function or separate_weights:
        raise NotImplementedError("this stand-in has no use for it")
    examples = (example_inputs,) if isinstance(example_inputs, Tensor) else tuple(example_inputs)
    graph = _graph(func, examples, for_torch)
    _say_what_is_listed(graph)
    if not fallback and not Compiler.swallows():
        _refuse_unsupported(graph)
    found = segments(graph, minimum_segment_size, single_fusion_ratio_threshold)
    _say_what_is_fused("pre-compilation", "fused", found, [s for s in found if s.chosen])
    if not any(segment.chosen for segment in found):  # no exception (#827)
        logger.warning("No operator is placed on Neuron runtime; returning a CPU trace")
        return _assembled(graph, [_Outcome(segment, None) for segment in found], examples)
    compiler = Compiler(compiler_args or (), compiler_timeout, compiler_workdir)
    compiler.half_io = Optimization.FLOAT32_TO_FLOAT16 in optimizations
    compiler.dynamic_batch = dynamic_batch_size
    # With values of every shape known, a segment's inputs can be described to the compiler.
    outcomes = [_compiled(s, graph, compiler, examples, fallback) for s in found]
    _say_what_was_compiled(outcomes)
    if not any(outcome.neff for outcome in outcomes):
        raise RuntimeError(
            "No operations were successfully partitioned and compiled to neuron for this model - "
            "aborting trace!"
        )
    return _assembled(graph, outcomes, examples)


def _graph(func: Callable[..., Any], examples: tuple[Any, ...], for_torch: dict[str, Any]) -> Any:
    traced = torch.jit.trace(func, examples, **{"check_trace": False, **for_torch})
    for tensor in (*examples, *_tensors(traced(*examples))):
        if tensor.dtype in (torch.int64, torch.float64):
            raise ValueError(f"Unsupported dtype {tensor.dtype} of an input or output tensor")
    if isinstance(func, nn.Module) and func.training:
        raise RuntimeError("the model has to be in eval mode")
    return torch.jit.freeze(traced.eval(), optimize_numerics=False).graph


def _tensors(found: Any) -> tuple[Tensor, ...]:
    return (found,) if isinstance(found, Tensor) else tuple(found)


def _refuse_unsupported(graph: Any) -> None:
    for node in _operators(graph):
        if node.kind() not in SUPPORTED:
            raise AttributeError(f"neuron-cc does not support operator {node.kind()}")
        if refusal(node):
            raise NotImplementedError(refusal(node))


def _operators(graph: Any) -> list[Any]:
    return [node for node in graph.nodes() if node.kind() not in STRUCTURE | UNPACKING]


def _compiled(
    segment: Segment,
    graph: Any,
    compiler: Compiler,
    examples: tuple[Any, ...],
    fallback: bool,
) -> _Outcome:
    if not segment.chosen:
        return _Outcome(segment, None)
    copy, inputs, outputs = (
        Copy(compiler.round),
        needed(segment.nodes),
        results(graph, segment.nodes),
    )
    for value in inputs:
        copy.take_input(value)
    for node in segment.nodes:
        copy.take(node)
    given = _values(graph, inputs, examples)
    name = f"_NeuronGraph${1025 + segment.level}"
    try:
        return _Outcome(segment, compiler.run(name, copy.function(outputs, as_list=True), given))
    except subprocess.TimeoutExpired:
        raise
    except subprocess.SubprocessError as error:
        if not fallback and not compiler.swallows():
            raise
        logger.warning(
            "torch.neuron.trace failed on %s; falling back to native python function call", name
        )
        logger.error("%s", error)
        return _Outcome(segment, None, failed=True)


def _values(graph: Any, wanted: list[Any], examples: tuple[Any, ...]) -> list[Tensor]:
    """What these values of the graph are for the example inputs."""
    copy, inputs = Copy(), list(graph.inputs())[1:]
    for value in inputs:
        copy.take_input(value)
    for node in graph.nodes():
        if node.kind() not in STRUCTURE:
            copy.take(node)
    return copy.function(wanted, as_list=True)(*examples)


def _assembled(graph: Any, outcomes: list[_Outcome], examples: tuple[Any, ...]) -> Any:
    copy = Copy()
    for value in list(graph.inputs())[1:]:
        copy.take_input(value)
    for outcome in outcomes:
        nodes = outcome.segment.nodes
        if outcome.neff is not None:
            copy.call(needed(nodes), outcome.neff, results(graph, nodes))
        else:
            for node in nodes:
                copy.take(node)
    function = copy.function(list(graph.outputs()), as_list=False)

    class NeuronModule(nn.Module):
        def forward(self, *inputs: Tensor) -> Any:
            return function(*inputs)

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        made = torch.jit.trace(NeuronModule(), examples, check_trace=False)
    torch._C._jit_pass_inline(made.graph)
    return made


def analyze_model(func: Callable[..., Any], example_inputs: Any, **_: Any) -> OrderedDict[str, Any]:
    """Judges by name only, as the real one: it knows nothing of arguments."""
    nodes = _operators(_graph(func, tuple(example_inputs), {}))
    counts = Counter(node.kind() for node in nodes)
    good = [node for node in nodes if node.kind() in SUPPORTED]
    percent = round(100 * len(good) / len(nodes), 2)
    return OrderedDict(
        percent_supported=percent,
        percent_supported_arithmetic=percent,
        supported_count=len(good),
        total_count=len(nodes),
        supported_count_arithmetic=len(good),
        total_count_arithmetic=len(nodes),
        supported_operators=set(counts) & SUPPORTED,
        unsupported_operators=sorted(set(counts) - SUPPORTED),
        operators=counts,
    )


def _say_what_is_listed(graph: Any) -> None:
    others = [node.kind() for node in _operators(graph) if not on_chip(node)]
    if others:
        logger.info(
            "There are %d ops of %d different types in the TorchScript that are not compiled by "
            "neuron-cc: %s, %s",
            len(others),
            len(set(others)),
            ", ".join(sorted(set(others))),
            _MORE,
        )
    else:
        logger.info(
            "All operators are compiled by neuron-cc (this does not guarantee that neuron-cc will "
            "successfully compile)"
        )


def _say_what_is_fused(when: str, what: str, found: list[Segment], done: list[Segment]) -> None:
    before = sum(len(segment.operators) for segment in found)
    after = sum(len(segment.operators) for segment in done)
    logger.info(
        "Number of arithmetic operators (%s) before = %d, %s = %d, percent %s = %s%%",
        when,
        before,
        what,
        after,
        what,
        round(100 * after / before, 2),
    )


def _say_what_was_compiled(outcomes: list[_Outcome]) -> None:
    found = [outcome.segment for outcome in outcomes]
    done = [outcome.segment for outcome in outcomes if outcome.neff is not None]
    chosen = [segment for segment in found if segment.chosen]
    _say_what_is_fused("post-compilation", "compiled", found, done)
    percent = round(100 * len(done) / max(len(chosen), 1), 2)
    logger.info("The neuron partitioner created %d sub-graphs", len(chosen))
    logger.info(
        "Neuron successfully compiled %d sub-graphs, Total fused subgraphs = %d, Percent of model "
        "sub-graphs successfully compiled = %s%%",
        len(done),
        len(chosen),
        percent,
    )
    compiled = Counter(kind for segment in done for kind in segment.operators)
    left = Counter(kind for s in found if s not in done for kind in s.operators)
    logger.info("Compiled these operators (and operator counts) to Neuron:")
    for kind in sorted(compiled):
        logger.info(" => %s: %d", kind, compiled[kind])
    logger.info("Not compiled operators (and operator counts) to Neuron:")
    for kind in sorted(left):
        tag = "supported" if kind in SUPPORTED else "not supported"
        logger.info(" => %s: %d [%s]", kind, left[kind], tag)
    if 2 * sum(compiled.values()) < sum((compiled + left).values()):
        logger.warning(
            "torch.neuron.trace was unable to compile > 50% of the operators in the compiled model!"
        )
