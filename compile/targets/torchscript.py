"""Target `torchscript`: a frozen torch program, for CPUs with torch installed."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import torch

from compile.errors import BuildError
from compile.targets.protocols import Arrays, Part, Ports, Run, named
from compile.trace import trace
from depth.errors import first_line
from depth.maps.result import FloatArray

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first date a ZIP entry can have


def build(part: Part, stem: Path, precision: str) -> list[Path]:  # noqa: ARG001 - one only
    """Trace, freeze and save `stem.pt`."""
    path = stem.parent / f"{stem.name}.pt"
    raw = path.with_name(path.name + ".raw")
    torch.jit.freeze(trace(part.module, part.examples)).save(str(raw))
    _strip(raw, path)
    raw.unlink()
    return [path]


def load(files: Sequence[Path], ports: Ports, precision: str) -> Run:  # noqa: ARG001 - one only
    """Load the saved program on the CPU."""
    try:
        program = torch.jit.load(str(files[0]), map_location="cpu").eval()  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise BuildError(f"torch could not load {files[0]}: {first_line(error)}") from error

    def run(arrays: Arrays) -> dict[str, FloatArray]:
        with torch.no_grad():
            found = program(*map(torch.from_numpy, ports.given(arrays).values()))
        return {name: tensor.numpy() for name, tensor in named(ports.outputs, found).items()}

    return run


def flags(precision: str) -> tuple[str, ...]:  # noqa: ARG001 - one precision only
    return ()


def versions() -> dict[str, str]:
    return {"torch": torch.__version__}


def _strip(raw: Path, path: Path) -> None:
    """Copy the archive without debug records, which hold source paths of the build machine."""
    with zipfile.ZipFile(raw) as source, zipfile.ZipFile(path, "w") as target:
        for info in source.infolist():
            if not info.filename.endswith(".debug_pkl"):
                target.writestr(zipfile.ZipInfo(info.filename, _EPOCH), source.read(info))
