"""Target `onnx`: an ONNX file, for ONNX Runtime and for everyone else's tools."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import onnxruntime
import torch

from compile.errors import BuildError
from compile.targets.protocols import Arrays, Part, Ports, Run, named
from compile.trace import OPSET, export_onnx
from depth.errors import first_line
from depth.maps.result import FloatArray

_MOST_BYTES = 1_900_000_000  # of weights inside the file; the rest of it is small


def build(part: Part, stem: Path, precision: str) -> list[Path]:  # noqa: ARG001 - one only
    """Export `stem.onnx`, and `stem.onnx.data` with the weights of a large part.

    A file of ONNX has at most 2 GB. Raises BuildError.
    """
    path = stem.parent / f"{stem.name}.onnx"
    size_bytes = sum(t.numel() * t.element_size() for t in part.module.state_dict().values())
    if size_bytes <= _MOST_BYTES:
        export_onnx(part, path)
        return [path]
    with tempfile.TemporaryDirectory(dir=stem.parent) as scratch:
        exported = Path(scratch) / "network.onnx"
        export_onnx(part, exported)  # over 2 GB torch writes a file per tensor beside it
        return _with_data(exported, path)


def _with_data(exported: Path, path: Path) -> list[Path]:
    """A model again, with all large tensors in one file beside it."""
    import onnx  # only here: a third of a second

    data = path.with_name(f"{path.name}.data")
    onnx.save_model(
        onnx.load(str(exported)),
        str(path),
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=data.name,
    )
    return [path, data]


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
