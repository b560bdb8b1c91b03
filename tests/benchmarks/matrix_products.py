"""How well a network uses this CPU: its latency beside matrix products of 2048 x 2048 x 2048.

    python -m tests.benchmarks.matrix_products artifacts/NAME --gmacs 83.7 --size 518x686

The products are an OpenVINO program, run by the same runtime as an artifact's program and at the
same precision. Four products in a row, because only the inner ones cost no conversion to and from
float32. `--json` writes the samples.
"""

from __future__ import annotations

import dataclasses
import json
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Callable, Optional

import numpy as np
import typer

from depth.artifact.manifest import Artifact, read_artifact
from depth.artifact.program import OutputFacts, Program, ProgramFile, Tensor
from depth.errors import InputError
from depth.family import FUSED
from depth.files import sha256_file
from depth.maps.result import FloatArray
from depth.sizes import parse_size
from serve.backend import open_runtime
from serve.bench.network import latencies_ms, noise, open_program
from serve.bench.run import common_size
from serve.bench.samples import Rounds
from serve.bench.turns import take_turns

SIDE = 2048
IN_A_ROW = 4
PRECISIONS = ("fp32", "bf16")
TARGETS = ("openvino", "onnx", "torchscript")  # those that run on the CPU
_INPUT, _OUTPUT = "matrix", "product"  # tensors of the program


def main(
    artifact: Path = typer.Argument(help="An artifact for the CPU."),
    gmacs: float = typer.Option(..., help="1e9 multiply-accumulates of one run."),
    size: Optional[str] = typer.Option(None, help="HEIGHTxWIDTH in px; by default the first."),
    rounds: int = typer.Option(5, min=1, help="Rounds that count, after one of warm-up."),
    runs: int = typer.Option(20, min=1, help="Runs of the network per round."),
    json_file: Optional[Path] = typer.Option(None, "--json", help="Write every sample here."),
) -> None:
    """The network's GFLOP/s, those of matrix products, and the share, in the same rounds."""
    found = measured(read_artifact(artifact), gmacs, size, rounds, runs)
    if json_file is not None:
        json_file.write_text(json.dumps({"results": [found]}, indent=2) + "\n", encoding="utf-8")
    network, products = gflops(gmacs, found["latency_ms"]), middle(found["gemm_gflops"])
    typer.echo(
        f"network {network:.0f} GFLOP/s, matrix products {products:.0f} GFLOP/s, share "
        f"{100 * network / products:.0f} %"
    )


def measured(
    artifact: Artifact, gmacs: float, size: Optional[str], rounds: int, runs: int
) -> dict[str, Any]:
    """Samples by round. Raises InputError for `gmacs` or an artifact that does not compare."""
    if not (gmacs > 0 and math.isfinite(gmacs)):
        raise InputError(f"--gmacs {gmacs}: expected a positive, finite number")
    if not comparable(artifact):
        raise InputError(f"{artifact.folder}: only fp32 and bf16 on the CPU compare with products")
    wanted = parse_size(size, artifact.manifest.size.check) if size else None
    chosen = common_size([artifact], wanted)
    arrays = noise(artifact, chosen)
    with open_program(artifact, chosen) as network, products(artifact) as measure:
        measures = [lambda: latencies_ms(network, arrays, runs), lambda: [measure()]]
        latency, found = take_turns(measures, rounds, 1, lambda _: None)
    precision = artifact.manifest.precision
    return {
        "precision": precision,
        "gmacs": gmacs,
        "latency_ms": latency,
        "gemm_gflops": found,
    }


def middle(rounds: Rounds) -> float:
    """The median of all samples."""
    return median(sample for samples in rounds for sample in samples)


def gflops(gmacs: float, latency_ms: Rounds) -> float:
    """Of a network, one run at a time."""
    return 2 * gmacs / (middle(latency_ms) / 1e3)


def comparable(artifact: Artifact) -> bool:
    """Whether the artifact's speed can be compared with matrix products on this CPU."""
    m = artifact.manifest
    return m.target in TARGETS and m.precision in PRECISIONS


@contextmanager
def products(artifact: Artifact) -> Iterator[Callable[[], float]]:
    """A function that measures GFLOP/s of matrix products at the artifact's precision.

    Raises ProgramError if OpenVINO is not installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        runtime = open_runtime(*program_of_products(artifact, Path(folder)))
        values = {_INPUT: matrix(1)}
        runtime.run(values)

        def measure() -> float:
            started = time.perf_counter()
            runtime.run(values)
            return 2 * SIDE**3 * IN_A_ROW / (time.perf_counter() - started) / 1e9

        yield measure


def program_of_products(artifact: Artifact, folder: Path) -> tuple[Artifact, Sequence[Program]]:
    """The products as an artifact with one program."""
    import openvino as ov
    from openvino import opset13 as operators

    last = given = operators.parameter([SIDE, SIDE], np.float32, name=_INPUT)
    given.output(0).set_names({_INPUT})
    for _ in range(IN_A_ROW):
        last = operators.matmul(last, operators.constant(matrix(0)), False, False)
    last.output(0).set_names({_OUTPUT})
    ov.save_model(ov.Model([last], [given]), folder / "gemm.xml", compress_to_fp16=False)
    files = [folder / "gemm.xml", folder / "gemm.bin"]
    program = Program(
        "gemm",
        FUSED,
        {"B": 1, "S": 1, "H": SIDE, "W": SIDE},
        (Tensor(_INPUT, "HW", "float32"),),
        (Tensor(_OUTPUT, "HW", "float32"),),
        tuple(ProgramFile(f.name, sha256_file(f), f.stat().st_size) for f in files),
        None,
    )
    manifest = dataclasses.replace(
        artifact.manifest,
        target="openvino",
        outputs=(OutputFacts(_OUTPUT, "none", None, "HW", None, None),),
        programs=(program,),
    )
    return Artifact(folder, manifest, "", ""), [program]


def matrix(seed: int) -> FloatArray:
    """Scaled so that products of any number of these matrices stay near one."""
    values = np.random.default_rng(seed).standard_normal((SIDE, SIDE), np.float32)
    return values / np.float32(SIDE**0.5)


if __name__ == "__main__":
    typer.run(main)
