"""Whole jobs that a spot notice ends, also while a program is compiled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from serve.folder.manifest import MANIFEST
from serve.jobs.stop import Stop, stop_on_signals
from tests.support.folder_jobs import write_images
from tests.support.hostile import encoded, picture
from tests.support.metadata_server import (
    REASON,
    TERMINATE,
    MetadataServer,
    metadata_server,
    start_watched,
)
from tests.support.processes import wait_for
from tests.support.programs import make_artifact

pytestmark = pytest.mark.long  # processes and whole builds

COUNT = 40


@pytest.fixture
def server() -> Iterator[MetadataServer]:
    with metadata_server() as found:
        yield found


def test_a_signal_gives_a_terminal_its_cursor_back(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for terminals, first in ({2}, "\x1b[?25hSIGTERM: "), (set[int](), "SIGTERM: "):
        monkeypatch.setattr(os, "isatty", terminals.__contains__)
        with stop_on_signals(Stop()):
            os.kill(os.getpid(), signal.SIGTERM)
        assert capfd.readouterr().err.startswith(first)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact and a folder of images that take some milliseconds each."""
    folder = tmp_path_factory.mktemp("place")
    make_artifact(folder / "artifacts", sizes=[(56, 70)])
    (folder / "in").mkdir()
    image = encoded(picture(500, 600), "PNG", compress_level=1)
    for index in range(COUNT):
        (folder / f"in/{index:03}.png").write_bytes(image)
    return folder


def folder_job(place: Path, out: Path, address: str, **environment: str) -> subprocess.Popen[str]:
    artifact = next((place / "artifacts").iterdir())
    arguments = ("serve", "folder", artifact, "--input", place / "in", "--output", out / "out")
    return start_watched(out, address, *arguments, **environment)


def identities(out: Path) -> dict[str, tuple[int, int]]:
    found = {path.name: path.stat() for path in out.iterdir() if path.name != MANIFEST}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in found.items()}


def test_a_notice_in_the_middle_of_a_job_and_a_rerun(
    place: Path, tmp_path: Path, server: MetadataServer
) -> None:
    # A proxy must not be asked: nobody listens there.
    proxies = {"HTTP_PROXY": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:1"}
    job = folder_job(place, tmp_path, server.address, **proxies)
    wait_for(job, tmp_path / "stdout")
    server.notice = TERMINATE
    # What EC2 or a scheduler sends next is the first signal, and ends nothing early.
    said = wait_for(job, tmp_path / "stderr", REASON)
    job.send_signal(signal.SIGTERM)
    job.wait(timeout=60)
    said = (tmp_path / "stderr").read_text()
    printed = (tmp_path / "stdout").read_text().splitlines()
    assert job.returncode == 3, said
    assert 0 < len(printed) < COUNT
    assert f"{REASON}: finishing what is under way\n" in said
    assert f"{len(printed)} done, {COUNT - len(printed)} left after {REASON} in " in said
    assert "run the same command again for the rest" in said
    lines = (tmp_path / "out" / MANIFEST).read_text().splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["done"] * len(printed)
    before = identities(tmp_path / "out")
    assert len(before) == 2 * len(printed), "no half file, none that is not recorded"
    port = server.server_port
    assert set((tmp_path / "connections").read_text().splitlines()) == {f"('127.0.0.1', {port})"}

    server.notice = None
    again = folder_job(place, tmp_path, server.address)
    assert again.wait(timeout=60) == 0, (tmp_path / "stderr").read_text()
    said = (tmp_path / "stderr").read_text()
    assert f"{COUNT - len(printed)} done, {len(printed)} already there in " in said
    after = identities(tmp_path / "out")
    assert len(after) == 2 * COUNT
    assert {name: after[name] for name in before} == before, "none was made twice"


@pytest.mark.parametrize("disabled", ["", "true"])
def test_elsewhere_than_on_ec2_nothing_is_connected_to(
    tmp_path: Path, server: MetadataServer, disabled: str
) -> None:
    write_images(tmp_path / "in", 2)
    server.notice = TERMINATE
    address = server.address if disabled else ""
    words = ("tests.support.folder_jobs", tmp_path / "in", tmp_path / "out", 0.1)
    job = start_watched(tmp_path, address, *words, AWS_EC2_METADATA_DISABLED=disabled)
    assert job.wait(timeout=60) == 0, (tmp_path / "stderr").read_text()
    assert (tmp_path / "connections").read_text() == ""
    assert server.requests == []


def children(process: int) -> list[int]:
    """Processes that it has started and that are still there."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == process and state != "Z":
                found.append(int(path.parent.name))
    return found


def test_a_notice_while_a_program_is_compiled(tmp_path: Path, server: MetadataServer) -> None:
    write_images(tmp_path / "in", 1)
    words = ["inference.py", "--model", "demo", "--input", tmp_path / "in"]
    words += ["--output", tmp_path / "out", "--artifacts", tmp_path / "artifacts"]
    job = start_watched(tmp_path, server.address, *words)
    compiling: list[int] = []
    while not compiling:
        assert job.poll() is None, (tmp_path / "stderr").read_text()
        time.sleep(0.02)
        compiling = children(job.pid)
    time.sleep(0.05)  # the job knows of the process, too
    server.notice = TERMINATE
    assert job.wait(timeout=60) == 3
    said = (tmp_path / "stderr").read_text()
    assert f"\n1 left after {REASON} in " in said
    assert "Traceback" not in said
    assert not [process for process in compiling if Path(f"/proc/{process}").exists()]
    assert "package" not in said, "the compiler was done before"
