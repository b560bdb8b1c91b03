"""Upstream's command `da3 auto --use-backend`, as it is, against our service.

    DEPTH_ANYTHING_3_UPSTREAM=../Depth-Anything-3 python -m pytest tests/serve/service/scenes

PYTHONPATH has to name what upstream's commands import, such as addict and typer.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from serve.service.scenes.task import COMPLETED
from tests.serve.service.scenes.test_interrupted_tasks import started
from tests.serve.service.scenes.test_tasks import ended, root
from tests.support.places import ROOT

UPSTREAM = os.environ.get("DEPTH_ANYTHING_3_UPSTREAM", "")
__all__ = ["root"]  # a fixture

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not UPSTREAM, reason="DEPTH_ANYTHING_3_UPSTREAM names no checkout"),
]


def test_upstreams_command_gets_its_scene(root: Path) -> None:
    process, client = started(root, 0.0)
    out = root / "gallery" / "scene"
    words = ["-m", "tests.support.upstream_client", UPSTREAM, "auto", str(root / "photos")]
    more = ["--use-backend", "--backend-url", str(client.base_url), "--export-dir", str(out)]
    chosen = ["--use-ray-pose", "--ref-view-strategy", "middle", "--process-res", "280"]
    with client:
        try:
            done = subprocess.run(
                [sys.executable, *words, *more, *chosen],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            (task,) = client.get("/tasks").json()["tasks"]
            assert task["task_id"] in done.stdout
            found = ended(client, task["task_id"])
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)
    assert (found["status"], found["num_images"]) == (COMPLETED, 2)
    request = found["request"]
    assert (request["use_ray_pose"], request["ref_view_strategy"]) == (True, "middle")
    assert request["process_res"] == 280
    assert {path.name for path in out.iterdir()} >= {"scene.glb", "scene.jpg", "depth_vis"}
