"""Networks, weights and artifacts for the tests: small where they can be, real where they must."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from compile.build.build import build
from compile.build.request import Request
from compile.untrained import untrained_checkpoint
from depth.artifact.manifest import (
    Artifact,
    Manifest,
    dump_manifest,
    folder_name,
    read_artifact,
)
from depth.files import sha256_file
from tests.support.models import (
    DEMO,
    SIZE,
    TINY,
    TINY_GIANT,
    TINY_MODEL,
    network,
    to_upstream,
    weights,
)
from tests.support.places import ROOT

__all__ = [
    "ROOT",
    "TINY",
    "TINY_GIANT",
    "build_demo",
    "network",
    "request",
    "rewrite",
    "to_upstream",
    "weights",
]


def build_demo(out: Path, target: str = "openvino", **changes: Any) -> Artifact:
    """An artifact of the demo network at one small size."""
    request = Request(DEMO, untrained_checkpoint(DEMO), target, "fp32", [SIZE])
    return read_artifact(build(replace(request, **changes), out))


def rewrite(artifact: Artifact, **changes: Any) -> Artifact:
    """Write an artifact's manifest again with other fields, its files as they are now.

    The folder gets the name that goes with the new identity.
    """
    manifest = replace(artifact.manifest, **changes)
    programs = tuple(
        replace(program, files=tuple(_described(artifact.folder, f) for f in program.files))
        for program in manifest.programs
    )
    changed: Manifest = replace(manifest, programs=programs)
    (artifact.folder / "manifest.json").write_bytes(dump_manifest(changed))
    renamed = artifact.folder.with_name(folder_name(changed, changed.identity()))
    return read_artifact(artifact.folder.rename(renamed))


def _described(folder: Path, file: Any) -> Any:
    path = folder / file.path
    return replace(file, sha256=sha256_file(path), size_bytes=path.stat().st_size)


def request(**changes: object) -> Request:
    """For one small torchscript program of the tiny metric model, with what is different."""
    made = Request(TINY_MODEL, untrained_checkpoint(TINY_MODEL), "torchscript", "fp32", [SIZE])
    return replace(made, **changes)  # type: ignore[arg-type]
