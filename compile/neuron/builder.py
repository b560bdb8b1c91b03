"""The builder of both device targets, given what differs between their SDKs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from compile.errors import BuildError
from compile.neuron.fallbacks import Fallback, Ladder, Parts, first_compiled
from compile.neuron.program import Toolchain, compile_program
from compile.neuron.record import BuildRecord
from compile.targets.host import has_device
from compile.targets.modes import FP16, mode_named, with_fast_relayout
from compile.targets.protocols import Arrays, Compiled, Name, Part, Ports, Run, Settings, named
from depth.errors import first_line
from depth.maps.result import FloatArray

# Of the time limit, for a try with an easier try behind it. A compiler that never ends is a known
# failure, and the tries behind it take long too.
FIRST_TRIES = 0.5


@dataclass(frozen=True)
class NeuronBuilder(Toolchain):
    """A device target: compiles programs with its SDK, and loads them on its chip."""

    def build_programs(
        self,
        parts: Parts,
        batch: int,
        split: bool,
        name: Name,
        precision: str,
        settings: Settings,
    ) -> list[Compiled]:
        """Compile a lowered network for `batch` images at a time, whole or as its stages (`split`).

        If the compiler dies, easier programs are tried, see compile/neuron/fallbacks.py. The last
        try has the whole time limit, each try before it half the limit. `name` gives the path of a
        program, without a suffix, from its stage and batch. Raises HostError, CompilerError or
        BuildError.
        """
        fast = with_fast_relayout(mode_named(self.target, precision))
        ladder = Ladder(
            Fallback(batch, split, precision),
            self.fewer,
            stages=len(parts(batch, True)) > 1,
            fast_relayout=fast.name if fast else None,
        )

        def compile_one(part: Part, path: Path, fallback: Fallback) -> BuildRecord:
            share = 1.0 if ladder.is_last(fallback) else FIRST_TRIES
            limited = replace(settings, timeout_s=share * settings.timeout_s)
            return compile_program(
                self, part, path, fallback.precision, fallback.arguments, limited
            )

        return first_compiled(ladder, parts, name, compile_one)

    def load(self, files: Sequence[Path], ports: Ports, precision: str) -> Run:
        """Load a program on one NeuronCore. Raises BuildError if there is none here."""
        if not has_device():
            raise BuildError(
                f"{files[0]}: no Neuron device here, and without a device the program does not "
                f"load; load it on an {self.instance} instance"
            )
        if not {"NEURON_RT_NUM_CORES", "NEURON_RT_VISIBLE_CORES"} & set(os.environ):
            os.environ["NEURON_RT_NUM_CORES"] = "1"  # else this process takes every core
        self.sdk()  # registers the operator that the file is made of
        try:
            program = torch.jit.load(str(files[0]))  # type: ignore[no-untyped-call]
        except (RuntimeError, ValueError) as error:
            raise BuildError(f"torch could not load {files[0]}: {first_line(error)}") from error
        half = mode_named(self.target, precision).io == FP16

        def run(arrays: Arrays) -> dict[str, FloatArray]:
            given = map(torch.from_numpy, ports.given(arrays).values())
            with torch.no_grad():
                found = program(*(tensor.half() if half else tensor for tensor in given))
            return {
                name: tensor.float().numpy() for name, tensor in named(ports.outputs, found).items()
            }

        return run
