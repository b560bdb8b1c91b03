"""The whole chain: sample image file in, depth file out, compared with the scene's exact depth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from checkpoints.demo.evaluate import score
from compile.build.build import build
from compile.build.request import Request
from compile.weights import BUNDLED
from depth.artifact.manifest import Artifact, read_artifact
from depth.maps.files import read_depth
from depth.weights.checkpoint import read_checkpoint
from depth_anything_v2.config import MODELS
from serve.engine import Engine
from serve.folder.job import run_folder
from serve.folder.request import FolderJob
from serve.jobs.entry import DONE, Entry
from serve.library import Library
from tests.support.places import DATA, ROOT
from tests.support.programs import needs_arithmetic

DEMO = MODELS["demo"]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.long
def test_depth_files_of_the_samples_against_exact_depth(tmp_path: Path, precision: str) -> None:
    """Not forced: the bundled weights pass the parity gate at both precisions."""
    needs_arithmetic(precision)

    def make(sizes: Sequence[tuple[int, int]]) -> list[Artifact]:
        request = Request(DEMO, read_checkpoint(BUNDLED), "openvino", precision, sizes)
        return [read_artifact(build(request, tmp_path / "artifacts"))]

    entries: list[Entry] = []
    job = FolderJob(ROOT / "input_images/samples", tmp_path / "out")
    with Engine(Library([], build=make), size_rule=DEMO.size) as engine:
        run_folder(engine, job, lambda entry, _: entries.append(entry))
    assert [entry.status for entry in entries] == [DONE] * 6
    found, constant = [], []
    with np.load(DATA / "samples_inverse_depth.npz") as truth:
        for entry in entries:
            true = truth[Path(entry.image).stem].astype(np.float32)
            depth = read_depth(tmp_path / "out" / next(iter(entry.outputs))).depth
            assert depth.values.shape == true.shape
            found.append(score(depth.values, true).abs_rel)
            constant.append(score(np.ones_like(true), true).abs_rel)
    assert np.mean(found) < 0.5 * np.mean(constant)
