"""The Python client and the worker's process: kills, garbage, hangs and restarts lose no image."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from serve.sidecar.python.answers import SidecarError, WaitedTooLongError, WorkerLostError
from serve.sidecar.python.client import SidecarClient
from tests.support.hostile import encoded, picture
from tests.support.places import ROOT
from tests.support.processes import until
from tests.support.sidecars import PNG, SIDECAR, STUB_WORKER

pytestmark = pytest.mark.long  # processes and whole builds

SHAPE = (12, 20)
MEMORY = Path("/dev/shm")

# A worker that answers an image, unless it is `poison`: then it dies as it reads it.
_FRAGILE = """
import os, sys
from serve.sidecar import staying, values
whole = values.stub
def fragile(held, asked, use):
    if held.open().header.width_px == 666:
        os.kill(os.getpid(), 9)
    whole(held, asked, use)
staying.stub = fragile
from serve.sidecar.cli import main
sys.argv[1:] = ["--no-model", "--worker"]
main()
"""
POISON = encoded(picture(5, 666), "PNG")


def children() -> set[int]:
    """Processes of this one, zombies too."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == os.getpid():
            found.add(int(stat.parent.name))
    return found


@pytest.fixture(autouse=True)
def _no_process_and_no_memory_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    before, files = children(), set(MEMORY.glob("depth-sidecar-*"))
    yield
    assert children() <= before
    assert set(MEMORY.glob("depth-sidecar-*")) <= files


@pytest.fixture(name="client", scope="module")
def client_fixture() -> Iterator[SidecarClient]:
    """A client that the quick tests share."""
    with SidecarClient(STUB_WORKER) as client:
        yield client


def test_every_image_in_every_format(client: SidecarClient, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    pixels = np.asarray(picture(*SHAPE))
    for image in (PNG, tmp_path / "a.png", str(tmp_path / "a.png"), pixels):
        for kind in ("raw", "npy", "shm"):
            values = client.depth(image, format=kind).values
            assert values is not None
            assert (values.shape, values.dtype) == (SHAPE, np.float32)
            assert (values[0, 0], values[-1, -1]) == (0.0, 1.0)
    assert client.depth(PNG, format="json").data.startswith(b'{"stub": true, "height": 12')
    assert client.depth(PNG, format="png16").data.startswith(b"\x89PNG")
    assert client.depth(PNG).facts["stub"] is True


def test_errors_are_of_the_worker_and_of_one_image(client: SidecarClient) -> None:
    for image, kind in ((b"no image", "ImageError"), ("/nowhere.png", "ImageError")):
        with pytest.raises(SidecarError) as caught:
            client.depth(image)
        assert caught.value.kind == kind
    with pytest.raises(SidecarError, match="format 'zip'"):
        client.depth(PNG, format="zip")
    with pytest.raises(ValueError, match=r"expected uint8 \[H,W,3\]"):
        client.depth(np.zeros((3, 4), np.uint8))
    assert client.depth(PNG).values is not None


def test_progress_is_told_and_its_errors_change_nothing(
    client: SidecarClient, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[tuple[str, int]] = []
    client.submit(PNG, on_progress=lambda *each: seen.append(each)).result(20)
    assert seen == [("inference", 10), ("writing_output", 90)]
    client.submit(PNG, on_progress=lambda *_: 1 // 0).result(20)  # type: ignore[arg-type,func-returns-value]
    assert "ZeroDivisionError" in caplog.text


def test_more_images_than_the_worker_queues_are_all_answered(client: SidecarClient) -> None:
    waiting = [client.submit(PNG, format="shm") for _ in range(40)]
    assert all(each.result(30).values is not None for each in waiting)


def test_cancelling_and_waiting_too_long_give_the_image_up(client: SidecarClient) -> None:
    os.kill(client.hello["pid"], signal.SIGSTOP)
    try:
        cancelled, late = client.submit(PNG), client.submit(PNG)
        cancelled.cancel()
        with pytest.raises(SidecarError) as caught:
            cancelled.result(1)
        assert caught.value.kind == "CancelledError"
        with pytest.raises(WaitedTooLongError):
            late.result(0.05)
    finally:
        os.kill(client.hello["pid"], signal.SIGCONT)
    assert client.depth(PNG).values is not None


def test_a_killed_worker_is_started_again_and_no_image_is_lost() -> None:
    with SidecarClient(STUB_WORKER) as client:
        before = client.hello["pid"]
        os.kill(before, signal.SIGSTOP)  # so that all images are on their way
        waiting = [client.submit(PNG, format="shm") for _ in range(12)]
        os.kill(before, signal.SIGKILL)
        assert all(each.result(30).values is not None for each in waiting)
        assert client.hello["pid"] != before
        assert before not in children()
        assert [each.times_sent for each in waiting] == [2] * 8 + [1] * 4


def test_an_image_that_kills_the_worker_fails_alone() -> None:
    with SidecarClient([sys.executable, "-c", _FRAGILE]) as client:
        waiting = [client.submit(image) for image in (PNG, POISON, PNG, PNG)]
        with pytest.raises(WorkerLostError, match=r"sent 2 times|SIGKILL"):
            waiting[1].result(60)
        for each in (waiting[0], waiting[2], waiting[3]):
            assert each.result(60).values is not None


@pytest.mark.long
def test_a_worker_that_hangs_is_given_up_and_replaced() -> None:
    with SidecarClient(STUB_WORKER, silence_s=0.5) as client:
        before = client.hello["pid"]
        os.kill(before, signal.SIGSTOP)
        large = np.zeros((700, 700, 3), np.uint8)  # more than a pipe holds
        assert client.depth(large, timeout_s=30).values is not None
        assert client.hello["pid"] != before


def test_a_worker_that_cannot_start_is_an_error_with_its_reason() -> None:
    with pytest.raises(WorkerLostError, match=r"exit code 2.*no artifact") as caught:
        SidecarClient([*SIDECAR, "--worker", "--model", "/nowhere"])
    assert caught.value.kind == "WorkerLostError"
    with pytest.raises(WorkerLostError, match="no worker"):
        SidecarClient(["/nowhere/python"])
    with pytest.raises(WorkerLostError, match="begins with b'DSC1'"):
        SidecarClient(["echo", "hello, this is no worker of ours"])
    with pytest.raises(WorkerLostError, match="nothing came for"):
        SidecarClient(["sleep", "30"], start_s=0.3)
    with pytest.raises(ValueError, match="either the command"):
        SidecarClient()


@pytest.mark.long
def test_workers_that_only_say_hello_are_not_started_for_ever() -> None:
    code = (
        "import sys; from serve.sidecar.frames import write_frame; "
        "write_frame(sys.stdout.buffer.write, {'type': 'hello', 'limits': {'queue': 8}})"
    )
    with SidecarClient([sys.executable, "-c", code]) as client:
        with pytest.raises(WorkerLostError):
            client.depth(PNG, timeout_s=30)
        assert until(lambda: _refuses(client), 30)


def _refuses(client: SidecarClient) -> bool:
    try:
        client.submit(PNG).cancel()
    except WorkerLostError as error:
        return "workers in a row" in str(error)
    return False


@pytest.mark.long
def test_a_client_that_is_killed_takes_its_worker_with_it() -> None:
    code = (
        "import sys, time; from serve.sidecar.python.client import SidecarClient; "
        f"client = SidecarClient({list(STUB_WORKER)!r}); "
        "print(client.hello['pid'], flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as user:
        assert user.stdout is not None
        worker = int(user.stdout.readline())
        user.kill()
    assert until(lambda: not Path(f"/proc/{worker}").exists(), 20)


def test_a_closed_client_answers_what_it_owes_and_takes_no_more() -> None:
    with SidecarClient(STUB_WORKER) as client:
        waiting = [client.submit(PNG) for _ in range(20)]
    assert all(each.done() for each in waiting)
    assert waiting[-1].result(0).values is not None
    with pytest.raises(WorkerLostError, match="the client is closed"):
        client.submit(PNG)
    client.close()


def test_one_worker_answers_several_clients_at_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "run" / "s"
    words = [*SIDECAR, "--no-model", "--socket", str(path)]
    worker = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    try:
        assert until(path.exists, 20)
        with SidecarClient(socket=path) as one, SidecarClient(socket=path) as other:
            found = [each.submit(PNG, format="shm") for each in (one, other) for _ in range(10)]
            assert all(each.result(20).values is not None for each in found)
        second = subprocess.run(words, capture_output=True, text=True, check=False)
        assert second.returncode == 2
        assert "another worker listens there" in second.stderr
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
        assert not path.exists()
        with pytest.raises(WorkerLostError, match="no worker"):
            SidecarClient(socket=path)
    finally:
        worker.kill()
        worker.wait()


@pytest.mark.long
def test_a_socket_that_a_new_worker_takes_over_loses_no_image(tmp_path: Path) -> None:
    path = tmp_path / "run" / "s"
    words = [*SIDECAR, "--no-model", "--socket", str(path)]
    workers = [subprocess.Popen(words, stderr=subprocess.DEVNULL)]
    try:
        assert until(path.exists, 20)
        with SidecarClient(socket=path, start_s=20) as client:
            workers[0].send_signal(signal.SIGSTOP)
            pending = client.submit(PNG)

            def replace() -> None:
                workers[0].kill()
                workers[0].wait()
                workers.append(subprocess.Popen(words, stderr=subprocess.DEVNULL))

            replacing = threading.Thread(target=replace)
            replacing.start()
            assert pending.result(30).values is not None
            replacing.join()
    finally:
        for each in workers:
            each.terminate()
            each.wait(20)
