"""Upstream's own code gives the same numbers and the same pictures, on real photographs.

    DEPTH_ANYTHING_UPSTREAM=../Depth-Anything-V2 make test ARGS=tests/depth_anything_v2

Runs for minutes, and only if that variable names a checkout of DepthAnything/Depth-Anything-V2.
`--log-cli-level=INFO` shows how large the differences are.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from depth.weights.checkpoint import read_checkpoint
from depth_anything_v2.config import CONFIGS
from depth_anything_v2.dpt import DepthAnythingV2
from tests.benchmarks.upstream import PHOTOS, prepare, upstream_command
from tests.support.places import ROOT

logger = logging.getLogger(__name__)
UPSTREAM = os.environ.get("DEPTH_ANYTHING_UPSTREAM")

pytestmark = [
    pytest.mark.skipif(not UPSTREAM, reason="DEPTH_ANYTHING_UPSTREAM names no checkout"),
    pytest.mark.skipif(not PHOTOS.is_dir(), reason=f"no photographs in {PHOTOS.name}/"),
    pytest.mark.timeout(1800),
    pytest.mark.xdist_group("upstream"),
]


@pytest.fixture(scope="module", params=["vits", "vitb"])
def work(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """upstream/, checkpoints/, images/, and reference/ with upstream's depth as float32."""
    folder = tmp_path_factory.mktemp(request.param)
    prepare(Path(UPSTREAM or ""), request.param, PHOTOS, 1, folder)
    return folder


def encoder_of(work: Path) -> str:
    (checkpoint,) = (work / "checkpoints").iterdir()
    return checkpoint.stem.split("_")[-1]


def test_infer_image_gives_the_same_numbers(work: Path) -> None:
    config = CONFIGS[encoder_of(work)]
    model = DepthAnythingV2(config.name, config.decoder_dim, config.stage_dims)
    (checkpoint,) = (work / "checkpoints").iterdir()
    model.load_state_dict(read_checkpoint(checkpoint).state)
    model.eval()
    worst = 0.0
    for photo in sorted(PHOTOS.iterdir()):
        expected = np.load(work / "reference" / f"{photo.stem}.npy")
        found = model.infer_image(cv2.imread(str(photo)))
        assert found.shape == expected.shape
        assert expected.std() > 0.001 * expected.max()
        worst = max(worst, float(np.abs(found - expected).max() / np.abs(expected).max()))
    logger.info("%s: infer_image differs by %.2e of the largest value", config.name, worst)
    assert worst <= 1e-5


def test_run_py_draws_the_same_pictures(work: Path) -> None:
    pytest.importorskip("matplotlib", reason="upstream's run.py draws with matplotlib")
    flags = upstream_command(encoder_of(work))[3:]
    for script, out in ((work / "upstream/run.py", "theirs"), (ROOT / "run.py", "ours")):
        arguments = [out if flag == "out" else flag for flag in flags]
        subprocess.run([sys.executable, str(script), *arguments], cwd=work, check=True)
    theirs, ours = (sorted((work / name).glob("*.png")) for name in ("theirs", "ours"))
    assert [path.name for path in ours] == [path.name for path in theirs]
    assert len(ours) == len(list(PHOTOS.iterdir()))
    worst = 0
    for expected, found in zip(theirs, ours):
        a, b = (cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in (expected, found))
        assert a.shape == b.shape, expected.name
        worst = max(worst, int(np.abs(a.astype(int) - b.astype(int)).max()))
    logger.info("%s: pictures differ by %d of 255 levels", encoder_of(work), worst)
    assert worst <= 1
