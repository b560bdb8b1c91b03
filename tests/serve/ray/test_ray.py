"""Ray jobs on a local cluster, in processes of an environment that has ray: `make test-ray`."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
from pathlib import Path

import pytest

from depth.store.objects import open_store
from tests.support import neuron_ls
from tests.support.folder_jobs import write_images
from tests.support.object_jobs import left, logged
from tests.support.processes import start, until
from tests.support.ray_jobs import CORES_LOG, KILLER, taken_twice, workers_in

pytest.importorskip("ray", reason="ray is not installed: `make test-ray` brings it")
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


def wait_for_results(driver: subprocess.Popen[str], place: Path) -> None:
    """Until the driver has printed a result; starting a cluster takes a while."""
    printed = place / "stdout"
    assert until(lambda: printed.stat().st_size or driver.poll() is not None, 300)
    assert driver.poll() is None, (place / "stderr").read_text()


def wait_for_files(driver: subprocess.Popen[str], place: Path, results: int) -> None:
    """Wait for this number of results; the driver hears of them by batches."""

    def there() -> bool:
        return sum(1 for _ in (place / "out").rglob("*.png.*.json")) >= results

    assert until(lambda: there() or driver.poll() is not None, 300)
    assert driver.poll() is None, (place / "stderr").read_text()


def test_sigterm_at_the_driver_finishes_what_is_under_way(tmp_path: Path) -> None:
    write_images(tmp_path / "in", 400)
    words = ("-m", "tests.support.ray_jobs", tmp_path / "in", tmp_path / "out", 0.1, 2, "openvino")
    driver = start(tmp_path, *words)
    wait_for_results(driver, tmp_path)
    driver.terminate()
    assert driver.wait(120) == 3
    said = (tmp_path / "stderr").read_text()
    assert "SIGTERM: finishing what is under way" in said
    assert "were still under way" not in said
    counted = re.search(r"(\d+) done, (\d+) left after SIGTERM in", said)
    assert counted is not None
    done, rest = map(int, counted.groups())
    assert done + rest == 400
    with open_store(str(tmp_path / "out")) as store:
        there = left(store)
        # Nothing was given up half way: the report knows every result that is there.
        assert 0 < len(there.images) == done < 400
        assert (there.wrong, there.orphans) == ([], [])
        assert logged(store)[-1] == {"counts": {"done": done}, "left": rest, "end": "SIGTERM"}
    assert len((tmp_path / "stdout").read_text().splitlines()) == done


def kill_one(cores: Path) -> None:
    """Kill a worker that runs."""
    running = [worker for worker in workers_in(cores) if Path(f"/proc/{worker}").exists()]
    os.kill(random.choice(running), signal.SIGKILL)


@pytest.mark.skipif(not neuron_ls.possible(), reason="needs root, for a namespace with neuron-ls")
def test_no_two_workers_ever_have_the_same_core(tmp_path: Path) -> None:
    """Though workers are killed, and others get their cores."""
    write_images(tmp_path / "in", 500)
    (tmp_path / "cores").mkdir()
    job = ("tests.support.ray_jobs", tmp_path / "in", tmp_path / "out", 0.2, 0, "inf1")
    words = ("-m", "tests.support.neuron_ls", *job)
    driver = start(tmp_path, *words, **{CORES_LOG: str(tmp_path / "cores")})
    try:
        for results in (20, 120, 220):
            wait_for_files(driver, tmp_path, results)
            kill_one(tmp_path / "cores")
        assert driver.wait(300) == 0, (tmp_path / "stderr").read_text()
    finally:
        driver.kill()
        driver.wait()
    cores = workers_in(tmp_path / "cores")
    assert len(cores) > neuron_ls.CORES
    assert {*cores.values()} == {str(core) for core in range(neuron_ls.CORES)}
    assert taken_twice(tmp_path / "cores") == []
    with open_store(str(tmp_path / "out")) as store:
        there = left(store)
    assert (len(there.images), there.wrong) == (500, [])


def test_workers_without_cores_of_their_own_would_be_seen(tmp_path: Path) -> None:
    """The failing side of the test above: Ray gives these two workers no core."""
    write_images(tmp_path / "in", 96)
    (tmp_path / "cores").mkdir()
    words = ("-m", "tests.support.ray_jobs", tmp_path / "in", tmp_path / "out", 0.1, 2, "openvino")
    driver = start(tmp_path, *words, **{CORES_LOG: str(tmp_path / "cores")})
    assert driver.wait(300) == 0, (tmp_path / "stderr").read_text()
    assert taken_twice(tmp_path / "cores") == ["none"]


def test_an_image_that_ends_its_worker_fails_and_the_others_are_done(tmp_path: Path) -> None:
    write_images(tmp_path / "in", 50)
    words = ("-m", "tests.support.ray_jobs", tmp_path / "in", tmp_path / "out", 0.01, 1, "openvino")
    driver = start(tmp_path, *words, **{KILLER: "1/0003.png"})
    assert driver.wait(600) == 3, (tmp_path / "stderr").read_text()
    said = (tmp_path / "stderr").read_text()
    assert "failed: 1/0003.png: the job was killed twice while this image was under way" in said
    assert "49 done, 1 failed in" in said
    with open_store(str(tmp_path / "out")) as store:
        there = left(store)
    assert (len(there.images), there.wrong) == (49, [])


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
