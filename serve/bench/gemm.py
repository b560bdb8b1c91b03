"""How fast this CPU multiplies at best: the measure for how well a network uses it.

Matrix products of 2048 x 2048 x 2048 as an OpenVINO program, run by the same runtime as an
artifact's, at the same precision. Several in a row, because only the inner ones cost no conversion
to and from float32.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Callable

import numpy as np

from depth.artifact.manifest import Artifact
from depth.artifact.program import OutputFacts, Program, ProgramFile, Tensor
from depth.family import FUSED
from depth.files import sha256_bytes
from depth.maps.result import FloatArray
from serve.errors import ProgramError
from serve.runtimes.table import open_runtime

SIDE = 2048
IN_A_ROW = 4
PRECISIONS = ("fp32", "bf16")
TARGETS = ("openvino", "onnx", "torchscript")  # those that run on the CPU
_INPUT, _OUTPUT = "matrix", "product"  # tensors of the program


def comparable(artifact: Artifact) -> bool:
    """Whether the artifact's speed can be compared with matrix products on this CPU."""
    m = artifact.manifest
    return m.target in TARGETS and m.precision in PRECISIONS


@contextmanager
def gemm_measure(artifact: Artifact) -> Iterator[Callable[[], float]]:
    """What measures GFLOP/s of matrix products at the artifact's precision, at each call.

    Raises ProgramError if OpenVINO is not installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        reference, program = _artifact(artifact, Path(folder))
        try:
            runtime = open_runtime(reference, [program])
        except ProgramError as error:
            raise ProgramError(f"the matrix products to compare with: {error}") from error
        values = {_INPUT: _weights(1)}
        runtime.run(values)

        def measure() -> float:
            started = time.perf_counter()
            runtime.run(values)
            return 2 * SIDE**3 * IN_A_ROW / (time.perf_counter() - started) / 1e9

        yield measure


def _artifact(artifact: Artifact, folder: Path) -> tuple[Artifact, Program]:
    """The products in an artifact's clothes."""
    files = []
    for name, data in (("gemm.xml", _graph()), ("gemm.bin", _weights(0).tobytes())):
        (folder / name).write_bytes(data)
        files.append(ProgramFile(name, sha256_bytes(memoryview(data)), len(data)))
    program = Program(
        "gemm",
        FUSED,
        {"B": 1, "S": 1, "H": SIDE, "W": SIDE},
        (Tensor(_INPUT, "HW", "float32"),),
        (Tensor(_OUTPUT, "HW", "float32"),),
        tuple(files),
        None,
    )
    manifest = dataclasses.replace(
        artifact.manifest,
        target="openvino",
        outputs=(OutputFacts(_OUTPUT, "none", None, "HW", None, None),),
        programs=(program,),
    )
    return Artifact(folder, manifest, "", ""), program


def _weights(seed: int) -> FloatArray:
    """Scaled so that products of any number of them stay near one."""
    values = np.random.default_rng(seed).standard_normal((SIDE, SIDE), np.float32)
    return values / np.float32(SIDE**0.5)


def _graph() -> bytes:
    """OpenVINO IR: the input times one matrix, and again."""
    shape = f'shape="{SIDE},{SIDE}" element_type="f32"'
    layers = [
        _layer(0, "Parameter", shape, outputs=1, name=_INPUT),
        _layer(1, "Const", f'{shape} offset="0" size="{SIDE * SIDE * 4}"', outputs=1),
    ]
    edges, last = [], (0, 0)
    for number in range(2, 2 + IN_A_ROW):
        name = _OUTPUT if number == 1 + IN_A_ROW else ""
        turned = 'transpose_a="false" transpose_b="false"'
        layers.append(_layer(number, "MatMul", turned, 2, 1, name))
        edges += [_edge(*last, number, 0), _edge(1, 0, number, 1)]
        last = (number, 2)
    layers.append(_layer(2 + IN_A_ROW, "Result", "", inputs=1))
    edges.append(_edge(*last, 2 + IN_A_ROW, 0))
    return (
        f'<?xml version="1.0"?><net name="gemm" version="11"><layers>{"".join(layers)}</layers>'
        f"<edges>{''.join(edges)}</edges></net>"
    ).encode()


def _layer(
    number: int, kind: str, data: str, inputs: int = 0, outputs: int = 0, name: str = ""
) -> str:
    """`name`: of the output's tensor."""
    parts = [f"<data {data}/>" if data else ""]
    parts += [f"<input>{''.join(map(_port, range(inputs)))}</input>"] if inputs else []
    parts += [f"<output>{_port(inputs, name)}</output>"] if outputs else []
    return (
        f'<layer id="{number}" name="{kind}{number}" type="{kind}" version="opset1">'
        f"{''.join(parts)}</layer>"
    )


def _port(number: int, name: str = "") -> str:
    names = f' names="{name}"' if name else ""
    dims = f"<dim>{SIDE}</dim>" * 2
    return f'<port id="{number}" precision="FP32"{names}>{dims}</port>'


def _edge(from_layer: int, from_port: int, to_layer: int, to_port: int) -> str:
    return (
        f'<edge from-layer="{from_layer}" from-port="{from_port}" '
        f'to-layer="{to_layer}" to-port="{to_port}"/>'
    )
