"""A folder of programs becomes an artifact: manifest last, then one rename."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np

from compile.errors import BuildError
from compile.source import source_sha256
from depth.artifact.manifest import (
    MANIFEST,
    REPORTS,
    Manifest,
    dump_manifest,
    folder_name,
    read_artifact,
)
from depth.artifact.verification import VERIFIED_FILE
from depth.errors import ArtifactError, first_line
from depth.files import lock_now, locked, sync_folder, sync_tree

_SCRATCH = ".building-"
_FULL_BYTES = 1 << 20  # a disk with less room than this is full


def package(folder: Path, manifest: Manifest, out: Path) -> Path:
    """Write the manifest into `folder` and rename it into `out`; returns the new folder.

    The name ends with the artifact's identity, so a folder of that name already there is the same
    artifact. It stays unless it is damaged. Its reports are replaced, because parity may have seen
    other photographs, but not after a measurement on the device. Raises ArtifactError if the new
    artifact cannot be read back.
    """
    (folder / MANIFEST).write_bytes(dump_manifest(manifest))
    identity = read_artifact(folder).identity
    sync_tree(folder)  # a power cut leaves no folder whose name promises more than it has
    final = out / folder_name(manifest, identity)
    if final.exists() and not is_whole(final):
        final.rename(folder.with_name("damaged"))
    try:
        folder.rename(final)
    except OSError:  # it is there already, perhaps since a moment ago
        if not is_whole(final):
            raise
        if not (final / VERIFIED_FILE).exists():
            for name in REPORTS:
                (folder / name).replace(final / name)
            sync_folder(final)
    sync_folder(out)
    return final


@contextmanager
def new_artifact(out: Path) -> Iterator[Path]:
    """An empty folder inside `out`, with `programs` in it, that `package` makes an artifact of.

    Raises BuildError where `out` cannot be written, or its disk is full.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BuildError(
            f"{out}: no folder for artifacts: {error.strerror}; name another"
        ) from error
    with _writable(out), scratch_in(out) as scratch, _roomy(out):
        folder = scratch / "artifact"
        (folder / "programs").mkdir(parents=True)
        yield folder


@contextmanager
def _writable(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BuildError(
            f"{error.filename or out}: cannot be written: {error.strerror or error}; make room, or "
            f"name another folder than {out}"
        ) from error


@contextmanager
def _roomy(out: Path) -> Iterator[None]:
    """Name a full disk: OpenVINO then saves files that do not load, torch raises obscure errors."""
    try:
        yield
    except (BuildError, RuntimeError) as error:
        if shutil.disk_usage(out).free >= _FULL_BYTES:
            raise
        raise BuildError(
            f"{out}: no space left on the device; make room, or name another folder: "
            f"{first_line(error)}"
        ) from error


@contextmanager
def scratch_in(out: Path) -> Iterator[Path]:
    """A folder in `out` for work in progress; leftovers of killed processes are removed.

    A folder in use is locked, and a lock ends with its process. The number of a process would not
    do: a container that starts again has the same one, and other machines may share `out`.
    """
    with ExitStack() as stack:
        with locked(out, always=False):  # no other process finds our folder before it is locked
            _remove_left(out)
            folder = stack.enter_context(tempfile.TemporaryDirectory(dir=out, prefix=_SCRATCH))
            stack.enter_context(locked(Path(folder), always=False))
        yield stack.enter_context(_in_utf8(Path(folder)))


@contextmanager
def _in_utf8(folder: Path) -> Iterator[Path]:
    """The folder by a path that UTF-8 can encode: OpenVINO and ONNX Runtime take no other.

    In a locale such as C, letters beyond ASCII are surrogates in Python's paths.
    """
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        with tempfile.TemporaryDirectory(prefix="depth-") as place:
            link = Path(place, "building")
            link.symlink_to(folder.resolve(), target_is_directory=True)
            yield link
    else:
        yield folder


def _remove_left(out: Path) -> None:
    for left in out.glob(f"{_SCRATCH}*"):
        with suppress(OSError):  # in use, gone a moment ago, or no locks here
            handle = os.open(left, os.O_RDONLY)
            try:
                lock_now(handle)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(handle)


def is_whole(folder: Path) -> bool:
    """Whether a folder is an artifact and every byte of its programs is right."""
    try:
        artifact = read_artifact(folder)
        for program in artifact.manifest.programs:
            artifact.open_files(program.files)
    except ArtifactError:
        return False
    return True


def provenance_versions(target: str, precision: str, family: str) -> dict[str, str]:
    """Versions that the manifest names for every target. Raises TargetError as `source_sha256`."""
    return surroundings(source_sha256(target, precision, family))


def surroundings(source: str) -> dict[str, str]:
    """`source`, the hash of our code, and where it runs."""
    return {
        "source_sha256": source,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "system": os.uname().sysname,
    }
