"""Ray jobs on a local cluster, in processes of an environment that has ray: `make test-ray`."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from depth.store.objects import open_store
from tests.support.folder_jobs import write_images
from tests.support.object_jobs import left
from tests.support.processes import start, until

pytest.importorskip("ray", reason="ray is not installed: `make test-ray` brings it")
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


def wait_for_results(driver: subprocess.Popen[str], place: Path) -> None:
    """Until the driver has printed a result; starting a cluster takes a while."""
    printed = place / "stdout"
    assert until(lambda: printed.stat().st_size or driver.poll() is not None, 300)
    assert driver.poll() is None, (place / "stderr").read_text()


def test_sigterm_at_the_driver_leaves_the_rest(tmp_path: Path) -> None:
    write_images(tmp_path / "in", 400)
    words = ("-m", "tests.support.ray_jobs", tmp_path / "in", tmp_path / "out", 0.1, 1, "openvino")
    driver = start(tmp_path, *words)
    wait_for_results(driver, tmp_path)
    driver.terminate()
    assert driver.wait(120) == 3
    said = (tmp_path / "stderr").read_text()
    assert "SIGTERM: finishing what is under way" in said
    assert "left after SIGTERM in" in said
    with open_store(str(tmp_path / "out")) as store:
        assert 0 < len(left(store).images) < 400


def test_a_driver_is_killed_and_the_next_finishes(tmp_path: Path) -> None:
    write_images(tmp_path / "in", 120)
    (tmp_path / "in/torn.png").write_bytes(b"torn")
    words = ("-m", "tests.support.ray_jobs", tmp_path / "in", tmp_path / "out", 0.05, 2, "openvino")
    driver = start(tmp_path, *words)
    wait_for_results(driver, tmp_path)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    again = start(tmp_path, *words)
    assert again.wait(600) == 3, "the torn image fails"
    said = (tmp_path / "stderr").read_text()
    assert "failed: torn.png: torn.png: " in said
    assert "already there" in said
    with open_store(str(tmp_path / "out")) as store:
        there = left(store)
    assert (len(there.images), there.wrong, there.orphans) == (120, [], [])
    assert {len(keys) for keys in there.images.values()} == {1}
