"""A folder of programs becomes an artifact: manifest last, then one rename."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from depth_anything_v2.artifact import (
    MANIFEST,
    Manifest,
    dump_manifest,
    folder_name,
    read_artifact,
)
from depth_anything_v2.digest import sha256_bytes, sha256_file
from depth_anything_v2.errors import ArtifactError

ROOT = Path(__file__).resolve().parent.parent
_SOURCES = ("depth_anything_v2", "compile", "compile/lowering", "compile/neuron")


def package(folder: Path, manifest: Manifest, out: Path) -> Path:
    """Write the manifest into `folder` and rename it into `out`; returns the new folder.

    The name ends with the manifest's hash, so a folder of that name already there is the same
    artifact, and is kept unless it is damaged. Raises ArtifactError if what was written cannot be
    read back.
    """
    data = dump_manifest(manifest)
    (folder / MANIFEST).write_bytes(data)
    read_artifact(folder)
    identity = sha256_bytes(data)
    final = out / folder_name(manifest, identity)
    if final.exists() and not is_whole(final):
        final.rename(folder.with_name("damaged"))
    try:
        folder.rename(final)
    except OSError:  # it is there already, perhaps since a moment ago
        if not is_whole(final):
            raise
    return final


@contextmanager
def scratch_in(out: Path) -> Iterator[Path]:
    """A folder in `out` for work in progress; what killed processes left there is removed."""
    host = (
        socket.gethostname()
    )  # others may share the folder, and their process numbers say nothing
    for left in out.glob(f".building-{host}-*"):
        if not _is_running(left.name[len(f".building-{host}-") :].partition("-")[0]):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=f".building-{host}-{os.getpid()}-") as folder:
        yield Path(folder)


def _is_running(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:  # it runs, for somebody else
        return True
    return True


def is_whole(folder: Path) -> bool:
    """Whether a folder is an artifact and every byte of its programs is right."""
    try:
        artifact = read_artifact(folder)
        for program in artifact.manifest.programs:
            for file in program.files:
                artifact.open_file(file).release()
    except ArtifactError:
        return False
    return True


def source_sha256() -> str:
    """One hash over our own code that decides what a program computes."""
    files = sorted(path for package in _SOURCES for path in (ROOT / package).glob("*.py"))
    told = (path.relative_to(ROOT).as_posix() + sha256_file(path) for path in files)
    return sha256_bytes("".join(told).encode())


def provenance_versions() -> dict[str, str]:
    """Versions that every target shares."""
    return {
        "source_sha256": source_sha256(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "system": os.uname().sysname,
    }
