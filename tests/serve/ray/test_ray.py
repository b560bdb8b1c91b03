"""Ray jobs on a local cluster, in processes of an environment that has ray: `make test-ray`."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from depth.store.objects import open_store
from tests.support.folder_jobs import write_images
from tests.support.object_jobs import left
from tests.support.processes import start, wait_for

pytest.importorskip("ray", reason="ray is not installed: `make test-ray` brings it")
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


def test_a_driver_is_killed_and_the_next_finishes(tmp_path: Path) -> None:
    write_images(tmp_path / "in", 120)
    (tmp_path / "in/torn.png").write_bytes(b"torn")
    words = ("-m", "tests.support.ray_jobs", tmp_path / "in", tmp_path / "out", 0.05, 2, "openvino")
    driver = start(tmp_path, *words)
    end = time.monotonic() + 300
    while not (tmp_path / "stdout").stat().st_size and time.monotonic() < end:
        assert driver.poll() is None, (tmp_path / "stderr").read_text()
        time.sleep(0.1)
    wait_for(driver, tmp_path / "stdout")
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
