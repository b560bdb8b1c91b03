"""Packs artifacts as the model of a SageMaker endpoint: a folder for each artifact in a .tar.gz.

    python infra/containers/model_tarball.py artifacts/NAME [artifacts/NAME ...] --out model.tar.gz

First `python -m compile verify` compares every byte with the manifest. Artifacts that the service
would refuse are refused here. The same artifacts give the same bytes. Prints the tarball's sha256.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

CHECKOUT = Path(__file__).resolve().parents[2]
MANIFEST, VERIFIED, REPORTS = "manifest.json", "verified.json", ("report.json", "report.md")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class PackError(Exception):
    """The artifacts make no model; the text is the reason."""


def main() -> int:
    options = _options()
    try:
        digest = pack(options.artifacts, options.out)
    except (PackError, OSError) as error:
        sys.stderr.write(f"model_tarball: {error}\n")
        return 1
    sys.stdout.write(f"{digest}  {options.out}\n")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("artifacts", nargs="+", type=Path, help="folders of one model's artifacts")
    parser.add_argument("--out", type=Path, default=Path("model.tar.gz"), help="the tarball")
    return parser.parse_args()


def pack(folders: list[Path], out: Path) -> str:
    """Write the tarball under a temporary name and rename it; its sha256. Raises PackError."""
    folders = [folder.resolve() for folder in folders]
    names = [folder.name for folder in folders]
    for name in names:
        if names.count(name) > 1 or not NAME.fullmatch(name):
            raise PackError(f"{name!r}: each artifact needs a folder with a plain name of its own")
    models = {_checked(folder) for folder in folders}
    if len(models) > 1:
        raise PackError(f"an endpoint has one model; these artifacts have {sorted(models)}")
    part = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        with part.open("xb") as raw:
            _write(folders, raw)
            os.fsync(raw.fileno())
        digest = hashlib.sha256(part.read_bytes()).hexdigest()
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return digest


def _checked(folder: Path) -> str:
    """The model of an artifact that the service would take. Raises PackError."""
    command = [sys.executable, "-m", "compile", "verify", str(folder)]
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PackError(done.stderr.strip() or f"{folder}: is no artifact")
    manifest = _json(folder / MANIFEST)
    passed = manifest["gate"]["passed"]
    if passed is None and (folder / VERIFIED).exists():
        passed = _json(folder / VERIFIED)["gate"]["passed"]
    if passed is None:
        raise PackError(
            f"{folder}: was never measured on the chip, so the service refuses it; run `python -m "
            "compile parity FOLDER --on-device` there"
        )
    if not passed:
        raise PackError(f"{folder}: failed its parity; build the artifact again")
    return str(manifest["model"])


def _json(path: Path) -> Any:
    return json.loads(path.read_bytes())


def _write(folders: list[Path], raw: BinaryIO) -> None:
    with (
        gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for folder in sorted(folders):
            for name in _files(folder):
                _add(tar, folder, name)


def _files(folder: Path) -> Iterator[str]:
    """The manifest's files, the manifest and what stands beside it; nothing else of the folder."""
    programs = _json(folder / MANIFEST)["programs"]
    yield from sorted({file["path"] for program in programs for file in program["files"]})
    yield MANIFEST
    yield from (name for name in (VERIFIED, *REPORTS) if (folder / name).exists())


def _add(tar: tarfile.TarFile, folder: Path, name: str) -> None:
    """Add a file as anybody's, without its times. Raises PackError for a link."""
    try:
        descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        raise PackError(f"{folder / name}: {error.strerror}; expected a file") from error
    with os.fdopen(descriptor, "rb") as file:
        info = tarfile.TarInfo(f"{folder.name}/{name}")
        info.size, info.mode = os.fstat(descriptor).st_size, 0o644
        tar.addfile(info, file)


if __name__ == "__main__":
    sys.exit(main())
