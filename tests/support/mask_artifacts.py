"""Artifacts of our own small network of instance masks: copies, free to be damaged."""

from __future__ import annotations

import json
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from compile.imported.build import Import, import_masks
from depth.artifact.manifest import MANIFEST, Artifact, read_artifact
from tests.support.mask_networks import write_network


def mask_artifact(out: Path, target: str = "onnx") -> Artifact:
    """A copy in `out` of the artifact for a target."""
    folder = _built(target)
    return read_artifact(Path(shutil.copytree(folder, out / folder.name)))


@cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="masks-")


@cache
def _built(target: str) -> Path:
    folder = Path(_scratch().name)
    return import_masks(Import(write_network(folder / f"{target}.onnx"), target, "seg"), folder)


def altered(artifact: Artifact, change: Any) -> Artifact:
    """The artifact with another manifest, under a name without an identity."""
    path = artifact.folder / MANIFEST
    data = json.loads(path.read_bytes())
    change(data)
    path.write_text(json.dumps(data), "utf-8")
    return read_artifact(artifact.folder.rename(artifact.folder.with_name("altered")))
