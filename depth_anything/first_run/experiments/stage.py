"""One stage of a network, compiled by itself into the cache, where the build finds it."""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from compile.build.request import requested
from compile.lowering.passes import lower
from compile.neuron.program import compile_program
from compile.parts import parts
from compile.specialise import specialise
from compile.targets.table import target_named
from depth.console import say
from depth_anything.first_run.compile_host import TARGET
from depth_anything.first_run.experiments.report import end
from depth_anything.first_run.experiments.sdk import toolchain


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("size")
    parser.add_argument("stage")
    parser.add_argument("--checkpoint")
    parser.add_argument("--timeout-s", type=float)
    given = parser.parse_args()
    request = requested(
        given.model,
        TARGET,
        None,
        [given.size],
        [1],
        given.checkpoint,
        Path("no photographs are needed"),
        say,
        timeout_s=given.timeout_s,
    )
    network = specialise(request.model, request.checkpoint, request.sizes[0])
    lowered = lower(network, target_named(TARGET).passes)
    part = next(part for part in parts(lowered, 1, True) if part.stage.name == given.stage)
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / f"{given.stage}.pt"
        record = compile_program(toolchain(), part, path, request.precision, (), request.settings)
    end(
        {
            "compile_s": record.build_s,
            "peak_memory_bytes": record.peak_memory_bytes,
            "from_cache": record.from_cache,
            "operators": record.log.operators,
            "compiled": record.log.compiled,
        }
    )


if __name__ == "__main__":
    main()
