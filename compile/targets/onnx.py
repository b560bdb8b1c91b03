"""Target `onnx`: an ONNX file, for ONNX Runtime and for everyone else's tools."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnxruntime
import torch

from compile.errors import BuildError
from compile.targets.protocols import Arrays, Part, Ports, Run, named
from compile.trace import OPSET, export_onnx
from depth.errors import first_line
from depth.maps.result import FloatArray


def build(part: Part, stem: Path, precision: str) -> list[Path]:  # noqa: ARG001 - one only
    """Export `stem.onnx`."""
    path = stem.parent / f"{stem.name}.onnx"
    export_onnx(part, path)
    return [path]


def load(files: Sequence[Path], ports: Ports, precision: str) -> Run:  # noqa: ARG001 - one only
    """Open the saved file in ONNX Runtime on the CPU."""
    try:
        session = onnxruntime.InferenceSession(str(files[0]), providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base but Exception
        raise BuildError(f"ONNX Runtime could not load {files[0]}: {first_line(error)}") from error

    def run(arrays: Arrays) -> dict[str, FloatArray]:
        return named(ports.outputs, session.run(list(ports.outputs), ports.given(arrays)))

    return run


def flags(precision: str) -> tuple[str, ...]:  # noqa: ARG001 - one precision only
    return (f"opset={OPSET}",)


def versions() -> dict[str, str]:
    return {"onnxruntime": onnxruntime.__version__, "torch": torch.__version__}
