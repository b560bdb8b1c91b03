"""One process of precision_auto.py: programs of a folder timed in turns, as JSON on stdout.

python -m tests.benchmarks.precision_turns FOLDER ROUNDS
"""

from __future__ import annotations

import functools
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable

import numpy as np
import openvino as ov

from compile.build.fastest.measure import fastest, in_turns
from compile.targets.protocols import Ports, Run
from compile.targets.table import builder, target_named
from depth.artifact.manifest import Artifact, read_artifact
from depth.family import DEPTH, IMAGES
from tests.benchmarks.matrix_products import SIDE, program_of_products

MADE = "made.json"  # artifacts by precision
IMAGES_FILE = "images.npy"
BY_HAND = "by-hand.xml"
PRODUCTS = "products"  # begin of the names of matrix products
FLOATS = {"fp32": "f32", "bf16": "bf16"}


def measured(folder: Path, rounds: int) -> dict[str, Any]:
    """Samples in ms, in turns. Each int8 program also runs with float32 beside it."""
    maker = builder(target_named("openvino"))
    shown = np.load(folder / IMAGES_FILE)
    artifacts = {
        name: read_artifact(Path(path))
        for name, path in json.loads((folder / MADE).read_text()).items()
    }
    runs: dict[str, Run] = {}
    for name, artifact in artifacts.items():
        (program,) = artifact.manifest.programs
        files = [artifact.folder / file.path for file in program.files]
        ports = Ports.of(program)
        runs[name] = maker.load(files, ports, name)
        if name == "int8-bf16":
            runs["int8-f32"] = maker.load(files, ports, "int8")
    timed: dict[str, Callable[[int], object]] = {
        name: functools.partial(_once, run=run, shown=shown) for name, run in runs.items()
    }
    timed.update(_by_hand(folder / BY_HAND, shown, [n for n in artifacts if n in FLOATS]))
    with ExitStack() as stack:
        for name in FLOATS:
            if name in artifacts:
                timed[f"{PRODUCTS} {name}"] = _products(artifacts[name], stack)
        samples = in_turns(timed, rounds)
    answers = {name: run({IMAGES.name: shown[0]})[DEPTH] for name, run in runs.items()}
    base = answers["fp32"]
    return {
        "samples_ms": samples,
        "chosen": fastest({name: samples[name] for name in artifacts}).name,
        "mean_rel_to_fp32": {
            name: float(np.abs(one - base).mean() / np.abs(base).mean())
            for name, one in answers.items()
        },
    }


def _by_hand(
    path: Path, shown: Any, precisions: Sequence[str]
) -> Iterator[tuple[str, Callable[[int], object]]]:
    for name in precisions:
        settings = {"INFERENCE_PRECISION_HINT": FLOATS[name]}
        compiled = ov.Core().compile_model(path, "CPU", settings)

        def once(number: int, compiled: Any = compiled) -> object:
            return compiled({0: shown[number % len(shown)]})[0].copy()

        yield f"OpenVINO by hand {name}", once


def _products(artifact: Artifact, stack: ExitStack) -> Callable[[int], object]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    products, (program,) = program_of_products(artifact, folder)
    files = [folder / file.path for file in program.files]
    run = builder(target_named("openvino")).load(
        files, Ports.of(program), products.manifest.precision
    )
    (given,) = program.inputs
    values = {given.name: np.eye(SIDE, dtype=np.float32)}
    return lambda _: run(values)


def _once(number: int, run: Run, shown: Any) -> object:
    return run({IMAGES.name: shown[number % len(shown)]})


if __name__ == "__main__":
    json.dump(measured(Path(sys.argv[1]), int(sys.argv[2])), sys.stdout)
