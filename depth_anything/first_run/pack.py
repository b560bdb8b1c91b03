"""Packs the results of a first run: text, and the programs that only hand over an image."""

from __future__ import annotations

import tarfile
from pathlib import Path

_KINDS = (".json", ".jsonl", ".md", ".txt", ".out", ".err", ".log", ".csv")
_MAX_BYTES = 4 << 20  # of one file
_PROGRAMS = "transfer-programs"  # of a few kB, without weights; the instance measures them


def pack(results: Path, role: str) -> Path:
    """Write RESULTS-ROLE.tar.gz beside the folder: no image, no weights, no link."""
    path = results.with_name(f"{results.name}-{role}.tar.gz")
    with tarfile.open(path, "w:gz") as packed:
        for file in sorted(results.rglob("*")):
            if _belongs(file):
                packed.add(file, Path(results.name) / file.relative_to(results), recursive=False)
    return path


def _belongs(file: Path) -> bool:
    if file.is_symlink() or not file.is_file() or file.stat().st_size > _MAX_BYTES:
        return False
    return file.suffix in _KINDS or (file.suffix == ".pt" and file.parent.name == _PROGRAMS)
