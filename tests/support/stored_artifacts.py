"""Stores for the tests, and artifacts for them: a true manifest over made-up program bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import pytest

from depth.artifact.manifest import (
    Artifact,
    Gate,
    Manifest,
    dump_manifest,
    folder_name,
    parse_manifest,
    read_artifact,
)
from depth.artifact.probe import Answer
from depth.artifact.program import ProgramFile, ProgramKey
from depth.artifact.verification import ProgramVerification, Verification, write_verification
from depth.files import sha256_bytes
from depth.store.names import manifest_key, object_key
from depth.store.objects import ObjectStore, open_store
from tests.support import s3_server
from tests.support.manifests import DEPTH, SKY, made_program
from tests.support.places import DATA

GOLDEN = (DATA / "golden-manifest.json").read_bytes()
LIMITS = {name: {"max_rel": 5e-4, "mean_rel": 5e-5} for name in ("depth", "sky")}
in_a_folder = pytest.mark.parametrize("store", ["folder"], indirect=True)  # S3 would add nothing
FILES = {"programs/518x518-b1.xml": b"<net/>\n", "programs/518x518-b1.bin": bytes(range(256)) * 64}


def manifest_of(files: Mapping[str, bytes], **changes: Any) -> Manifest:
    manifest = parse_manifest(GOLDEN, "golden")
    described = tuple(
        ProgramFile(path, sha256_bytes(data), len(data)) for path, data in files.items()
    )
    program = replace(made_program(ProgramKey(518, 518, 1), outputs=(DEPTH, SKY)), files=described)
    return replace(manifest, **{"programs": (program,), "gate": Gate(LIMITS, True), **changes})


def make(
    out: Path,
    files: Mapping[str, bytes] = FILES,
    passed: Optional[bool] = True,
    reports: bool = True,
    **changes: Any,
) -> Artifact:
    """An artifact in a folder in `out` that has its proper name."""
    manifest = manifest_of(files, **{"gate": Gate(LIMITS, passed), **changes})
    folder = out / folder_name(manifest, manifest.identity())
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    if reports:
        (folder / "report.json").write_text("{}\n")
        (folder / "report.md").write_text("# report\n")
    (folder / "manifest.json").write_bytes(dump_manifest(manifest))
    return read_artifact(folder)


def verify(artifact: Artifact, passed: bool = True, counter: int = 1, day: int = 1) -> None:
    """Give it a verified.json with this counter, measured on that day."""
    made, gate = f"2026-01-{day:02d}T00:00:00+00:00", Gate(LIMITS, passed)
    numbers = {"max_rel": 1e-5 if passed else 1.0, "mean_rel": 1e-6}
    answer = Answer((0.5,) * 64, 1e-3)
    rows = tuple(
        ProgramVerification(
            program.name, dict.fromkeys(LIMITS, numbers), dict.fromkeys(LIMITS, answer)
        )
        for program in artifact.manifest.programs
    )
    found = Verification(artifact.identity, counter, made, {"runtime": "2"}, gate, rows)
    write_verification(artifact, found)


@contextmanager
def a_store(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """An empty store of this kind."""
    s3_server.settings(monkeypatch)
    endpoint_url = s3_server.running().url if kind == "s3" else None
    (tmp_path / "store").mkdir()
    location = s3_server.location() if kind == "s3" else str(tmp_path / "store")
    with open_store(location, endpoint_url) as opened:
        yield opened


def put_manifest(store: ObjectStore, **changes: Any) -> str:
    """The usual programs under a manifest that push might refuse; returns its identity."""
    manifest = manifest_of(FILES, **changes)
    store.write(manifest_key(manifest.identity()), dump_manifest(manifest))
    for content in FILES.values():
        store.write(object_key(sha256_bytes(content)), content)
    return manifest.identity()


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
