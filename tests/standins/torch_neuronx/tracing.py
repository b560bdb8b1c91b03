"""`torch_neuronx.trace`: the whole graph to the compiler, or an exception."""

from __future__ import annotations

import json
import logging
import os
import shlex
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Callable, Optional, Union

import torch
from neuron_base import compiler
from neuron_base.runtime import Header, pack, rounded, saved
from torch import Tensor

from torch_neuronx.program import assembled
from torch_neuronx.runtime import need_device, on_device

logger = logging.getLogger("Neuron")
_COMPILER = Path(__file__).with_name("neuronx_cc.py")
# Lowered to a call that XLA knows and the compiler does not.
_CUSTOM_CALLS = {"aten::upsample_bilinear2d": "ResizeBilinear"}
_BY_DATA = {"aten::nonzero", "aten::masked_select", "aten::_unique2"}
_KILLED = {
    -9: "was killed (SIG_KILL).  This typically happens when there is insufficient memory to "
    "compile and the linux Out Of Memory (OOM) killer terminates the compiler.",
    -6: "aborted (SIG_ABORT).  This is likely due to an unexpected condition internally (a bug).",
    -11: "crashed (SEGFAULT).  This is likely due to a bug in the compiler.",
}


def trace(
    func: Callable[..., Any],
    example_inputs: Any,
    *args: Any,
    input_output_aliases: Mapping[Any, Any] = {},  # noqa: B006
    compiler_workdir: Optional[Union[str, Path]] = None,
    compiler_args: Union[str, Sequence[str], None] = None,
    partitioner_config: Any = None,
    inline_weights_to_neff: bool = True,
    cpu_backend: bool = False,
    **unknown: Any,
) -> torch.jit.ScriptModule:
    """It goes on after a keyword that it does not know, with a warning (#806)."""
    if unknown:
        warnings.warn(f"Unexpected keyword arguments: {sorted(unknown)}", stacklevel=2)
    if args:
        warnings.warn(
            f"Received {2 + len(args)} positional arguments but expected 2. Use of positional "
            "arguments after `func` and `example_inputs` is deprecated.",
            DeprecationWarning,
            stacklevel=2,
        )
    if args or input_output_aliases or partitioner_config or not inline_weights_to_neff:
        raise NotImplementedError("this stand-in has no use for it")
    arguments = shlex.split(compiler_args) if isinstance(compiler_args, str) else compiler_args
    _check_platform(list(arguments or ()), cpu_backend)
    examples = (example_inputs,) if isinstance(example_inputs, Tensor) else tuple(example_inputs)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(compiler_workdir or scratch)
        neff = _compile(_graph(func, examples), examples, list(arguments or ()), folder)
    return assembled(neff, examples)


def _check_platform(arguments: list[str], cpu_backend: bool) -> None:
    if not cpu_backend:
        need_device()
    elif not on_device() and (
        "--target" not in arguments or "NEURON_PLATFORM_TARGET_OVERRIDE" not in os.environ
    ):
        # The real one looks for the chip's kind on import, and needs the variable by then.
        raise RuntimeError(
            "If you want to compile on CPU, please supply compiler argument target, with one of "
            'options trn1, inf2, trn1n, or trn2. Ex: "--target trn1"'
        )


def _graph(func: Callable[..., Any], examples: tuple[Tensor, ...]) -> Any:
    traced = torch.jit.trace(func, examples, check_trace=False)
    frozen = torch.jit.freeze(traced.eval(), optimize_numerics=False)
    by_data = _kinds(frozen) & _BY_DATA
    if by_data:
        raise RuntimeError(f"XLA: the shape of the result of {by_data.pop()} depends on its values")
    return frozen


def _kinds(frozen: Any) -> set[str]:
    return {node.kind() for node in frozen.graph.nodes()}


def _compile(
    frozen: Any, examples: tuple[Tensor, ...], arguments: list[str], folder: Path
) -> bytes:
    """The program. Leaves what the real one leaves in the folder."""
    model = folder / "model"
    (model / "weights").mkdir(parents=True)
    calls = [_CUSTOM_CALLS[kind] for kind in _kinds(frozen) if kind in _CUSTOM_CALLS]
    facts = {"model_files": "graph.hlo", "version": "1.0", "custom_calls": calls}
    (model / "metadata.json").write_text(json.dumps(facts))
    (model / "graph.hlo").write_bytes(_program(frozen, examples, arguments))
    neff = folder / "graph.neff"
    command = [sys.executable, str(_COMPILER), "compile", str(model), "--framework", "XLA"]
    command += ["--target", "trn1", "--output", str(neff), *arguments]
    (folder / "command.txt").write_text(" ".join(Path(word).name for word in command))
    status = compiler.call(command)
    if status in _KILLED:
        logger.warning("The neuronx-cc (neuron compiler) process %s", _KILLED[status])
    if status:
        raise RuntimeError(f"neuronx-cc failed with {status}")
    return neff.read_bytes()


def _program(frozen: Any, examples: tuple[Tensor, ...], arguments: list[str]) -> bytes:
    told = dict(zip(arguments, arguments[1:]))
    mode = told.get("--auto-cast", "matmult")
    cast = "fp32" if mode == "none" else told.get("--auto-cast-type", "bf16")
    with torch.no_grad():
        output = frozen(*examples)
    for node in frozen.graph.nodes():
        if node.kind() == "prim::Constant" and node.hasAttribute("value"):
            value = node.output().toIValue()
            if isinstance(value, Tensor):
                node.t_("value", rounded(value, cast))
    outputs = (output,) if isinstance(output, Tensor) else tuple(output)
    shapes = [list(tensor.shape) for tensor in examples]
    results = [list(tensor.shape) for tensor in outputs]
    return pack(Header(shapes, results, cast, mode == "all"), saved(frozen))
