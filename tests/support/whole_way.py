"""A model goes the whole way: built for a target, proven, and a photograph served."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from compile.build.build import build
from compile.build.request import Request
from depth.artifact.manifest import Manifest, read_artifact
from depth.maps.files import read_depth
from depth.sizes import Size
from serve.engine import Engine
from serve.folder.job import run_folder
from serve.folder.request import FolderJob
from serve.library import Library
from tests.support.hostile import picture


def built_and_served(request: Request, folder: Path, most: float, photo: Size) -> Manifest:
    """Checks what a model of relative inverse depth gives; returns the artifact's manifest.

    most   largest error that parity may measure, as a share
    photo  (height, width) px of the photograph, whose results are in folder/depth
    """
    artifact = read_artifact(build(request, folder / "artifacts"))
    manifest = artifact.manifest
    assert manifest.gate.passed
    for program in manifest.programs:
        assert program.measured is not None
        assert 0 <= float(program.measured["depth"]["max_rel"] or 0) < most
    photos, out = folder / "photos", folder / "depth"
    photos.mkdir()
    picture(*photo).save(photos / "a.png")
    with Engine(Library([artifact]), "buckets") as engine:
        job = FolderJob(input=photos, output=out, formats=("npy", "png"))
        assert run_folder(engine, job).exit_code == 0
    depth = read_depth(out / "a.json").maps["depth"]
    assert depth.kind == "relative_inverse"
    assert depth.values.shape == photo
    assert np.ptp(depth.values) > 0
    return manifest
