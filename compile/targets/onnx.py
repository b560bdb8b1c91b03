"""Target `onnx`: an ONNX file, for ONNX Runtime and for everyone else's tools."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor, nn

from compile.errors import BuildError
from compile.targets.protocols import Run
from compile.trace import OPSET, export_onnx
from depth.errors import first_line
from depth.maps.depth_map import FloatArray


def build(
    network: nn.Module,
    example: Tensor,
    stem: Path,
    precision: str,  # noqa: ARG001 - it counts when the program is loaded
) -> list[Path]:
    """Export `stem.onnx`."""
    path = stem.parent / f"{stem.name}.onnx"
    export_onnx(network, example, path)
    return [path]


def load(files: Sequence[Path], precision: str) -> Run:  # noqa: ARG001 - one precision only
    """Open the saved file in ONNX Runtime on the CPU."""
    try:
        session = onnxruntime.InferenceSession(str(files[0]), providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base but Exception
        raise BuildError(f"ONNX Runtime could not load {files[0]}: {first_line(error)}") from error

    def run(images: FloatArray) -> FloatArray:
        return session.run(None, {"image": images})[0]

    return run


def flags(precision: str) -> tuple[str, ...]:  # noqa: ARG001 - one precision only
    return (f"opset={OPSET}",)


def versions() -> dict[str, str]:
    return {"onnxruntime": onnxruntime.__version__, "torch": torch.__version__}
