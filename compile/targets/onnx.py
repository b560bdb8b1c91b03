"""Target `onnx`: an ONNX file, for ONNX Runtime and for everyone else's tools."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import onnxruntime

from compile.errors import BuildError
from compile.targets.protocols import Arrays, Part, Ports, Run, named
from depth.errors import first_line
from depth.maps.result import FloatArray

_MOST_BYTES = 1_900_000_000  # of weights inside the file; the rest of it is small


def build(part: Part, stem: Path, precision: str) -> list[Path]:  # noqa: ARG001 - one only
    """Export `stem.onnx`, and `stem.onnx.data` with the weights of a large part.

    A file of ONNX has at most 2 GB. Raises BuildError.
    """
    from compile.trace import export_onnx  # loads torch, which an imported file does without

    path = stem.parent / f"{stem.name}.onnx"
    size_bytes = sum(t.numel() * t.element_size() for t in part.module.state_dict().values())
    if size_bytes <= _MOST_BYTES:
        export_onnx(part, path)
        return [path]
    with tempfile.TemporaryDirectory(dir=stem.parent) as scratch:
        exported = Path(scratch) / "network.onnx"
        export_onnx(part, exported)  # over 2 GB torch writes a file per tensor beside it
        from compile.targets.onnx_file import with_data  # a third of a second

        return with_data(exported, path)


def import_file(given: Path, stem: Path) -> list[Path]:
    """Pack a file that somebody else exported, as it is."""
    path = stem.parent / f"{stem.name}.onnx"
    shutil.copyfile(given, path)
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
    from compile.trace import OPSET

    return (f"opset={OPSET}",)


def versions() -> dict[str, str]:
    import torch

    return {**runtime_versions(), "torch": torch.__version__}


def runtime_versions() -> dict[str, str]:
    return {"onnxruntime": onnxruntime.__version__}
