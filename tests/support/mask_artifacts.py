"""Artifacts of our own small network of instance masks: copies, free to be damaged."""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path

from compile.imported.build import Import, import_masks
from depth.artifact.manifest import Artifact, read_artifact
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
