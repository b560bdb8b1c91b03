"""Calling the compiler: one real process for each sub-graph, in a work folder of its own."""

from __future__ import annotations

import json
import logging
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import torch
from neuron_base import compiler
from neuron_base.runtime import Header, pack, rounded, saved
from torch import Tensor

logger = logging.getLogger("Neuron")
_PROGRAM = Path(__file__).with_name("neuron_cc.py")
_CASTS = {  # --fast-math -> type of matrix products, and whether everything else is rounded too
    "all": ("bf16", True),
    "none": ("bf16", False),
    "fp32-cast-all": ("bf16", True),
    "fp32-cast-all-fp16": ("fp16", True),
    "fp32-cast-matmult": ("bf16", False),
    "fp32-cast-matmult-bf16": ("bf16", False),
    "fp32-cast-matmult-fp16": ("fp16", False),
}


class Compiler:
    """neuron-cc with the arguments of one trace."""

    half_io = False
    dynamic_batch = False

    def __init__(
        self, arguments: Sequence[str], timeout_s: Optional[float], folder: Optional[str]
    ) -> None:
        if isinstance(arguments, str):
            raise TypeError("this stand-in wants compiler_args as a list")
        self.arguments = list(arguments)
        self.timeout_s = timeout_s
        self.folder = folder
        self.done = 0
        modes = [_CASTS[word] for word in self.arguments if word in _CASTS]
        self.cast, self.everything = modes[0] if modes else _CASTS["all"]

    @staticmethod
    def swallows() -> bool:
        """Whether `fallback=False` is ignored: something that tests provoke."""
        return (Path(os.environ["NEURON_STANDIN"]) / "swallow").exists()

    def round(self, constant: Tensor) -> Tensor:
        return rounded(constant, self.cast)

    def run(self, name: str, function: Any, inputs: list[Tensor]) -> bytes:
        """The sub-graph's program. Raises SubprocessError or TimeoutExpired."""
        with torch.no_grad():
            outputs = function(*inputs)
        header = Header(
            [list(tensor.shape) for tensor in inputs],
            [list(tensor.shape) for tensor in outputs],
            self.cast,
            self.everything,
            self.half_io,
            self.dynamic_batch,
        )
        logger.info("Compiling function %s with neuron-cc", name)
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(self.folder or scratch) / str(self.done)
            self.done += 1
            folder.mkdir(parents=True)
            (folder / "graph_def.pb").write_bytes(saved(function))
            self._call(folder, inputs)
            return pack(header, (folder / "graph_def.neff").read_bytes())

    def _call(self, folder: Path, inputs: list[Tensor]) -> None:
        command = [sys.executable, str(_PROGRAM), "compile", str(folder / "graph_def.pb")]
        command += ["--framework", "TENSORFLOW", "--pipeline", "compile", "SaveTemps"]
        command += ["--output", str(folder / "graph_def.neff"), "--io-config"]
        described = {f"{i}:0": [list(x.shape), str(x.dtype)] for i, x in enumerate(inputs)}
        command += [json.dumps({"inputs": described}), "--verbose", "35", *self.arguments]
        logger.info("Compiling with command line: '%s'", " ".join(command))
        code = compiler.call(command, self.timeout_s)
        if code == -signal.SIGABRT:
            logger.warning(
                "The neuron-cc (neuron compiler) process aborted (SIG_ABORT).  This is likely due "
                "to an unexpected condition internally (a bug)."
            )
        logger.info("Compile command returned: %d", code)
        if code:
            raise subprocess.SubprocessError(
                f"neuron-cc failed with the following command line call:\n{shlex.join(command)}"
            )
