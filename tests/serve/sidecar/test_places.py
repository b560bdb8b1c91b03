"""Shared memory and the socket: only their user's, and nothing is left of a killed worker."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from depth.errors import DepthFileError, InputError
from serve.errors import QueueFullError
from serve.sidecar.listening import listening
from serve.sidecar.shared import SharedFiles, check_private, remove_left_over
from tests.support.places import ROOT

DATA = [memoryview(b"abc"), memoryview(b"defg")]

_HOLD = """
import os, sys
from pathlib import Path
from serve.sidecar.listening import listening
from serve.sidecar.shared import SharedFiles
with SharedFiles(Path(sys.argv[1])) as files, listening(Path(sys.argv[1], "run", "s")):
    files.write([memoryview(b"abc")])
    print(files.folder, flush=True)
    sys.stdin.read()
"""


def holding(place: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process with a shared file and a socket, and its folder."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    words = [sys.executable, "-c", _HOLD, str(place)]
    process = subprocess.Popen(words, cwd=ROOT, text=True, **pipes)  # type: ignore[call-overload]
    return process, Path(process.stdout.readline().strip())


def test_a_file_is_its_users_and_has_the_bytes(tmp_path: Path) -> None:
    with SharedFiles(tmp_path) as files:
        path = files.write(DATA)
        assert path.read_bytes() == b"abcdefg"
        assert path.parent == files.folder
        assert path.stat().st_mode & 0o777 == 0o600
        assert files.folder.stat().st_mode & 0o777 == 0o700
        files.remove([path, path])
        assert not path.exists()
        files.write(DATA)
    assert list(tmp_path.iterdir()) == []


def test_what_clients_do_not_fetch_is_bounded(tmp_path: Path) -> None:
    with SharedFiles(tmp_path, max_bytes=10) as files:
        path = files.write(DATA)
        with pytest.raises(QueueFullError, match="7 bytes were not fetched"):
            files.write(DATA)
        path.unlink()
        assert files.write(DATA).exists()


def test_memory_that_is_full_is_an_error_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SharedFiles(tmp_path) as files:
        monkeypatch.setattr(Path, "open", _full)
        with pytest.raises(DepthFileError, match="No space left.*ask for raw"):
            files.write(DATA)


def _full(path: Path, *_: object, **__: object) -> None:
    raise OSError(28, "No space left on device", str(path))


def test_the_folder_of_a_killed_worker_goes_and_of_a_living_one_stays(tmp_path: Path) -> None:
    process, folder = holding(tmp_path)
    try:
        assert [path.read_bytes() for path in folder.iterdir()] == [b"abc"]
        remove_left_over(tmp_path)
        assert folder.is_dir()
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        (tmp_path / "depth-sidecar-of-another-kind").mkdir()
        (tmp_path / "depth-sidecar-0123456789abcdef").symlink_to(tmp_path / "run")
        with SharedFiles(tmp_path) as files:
            assert not folder.exists()
            assert files.folder.is_dir()
        assert (tmp_path / "depth-sidecar-of-another-kind").is_dir()
        assert (tmp_path / "run").is_dir()  # a link is not followed
    finally:
        process.kill()
        process.communicate()


def test_a_socket_is_its_users_and_goes(tmp_path: Path) -> None:
    path = tmp_path / "run" / "s"
    with listening(path) as server:
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            server.accept()[0].close()
    assert not path.exists()


def test_a_living_worker_keeps_its_socket_and_a_dead_ones_is_replaced(tmp_path: Path) -> None:
    process, _ = holding(tmp_path)
    path = tmp_path / "run" / "s"
    try:
        with pytest.raises(InputError, match="another worker listens there"), listening(path):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        assert path.exists()
        with listening(path) as server, socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            server.accept()[0].close()
    finally:
        process.kill()
        process.communicate()


def test_a_socket_without_our_lock_that_answers_is_refused(tmp_path: Path) -> None:
    check_private(tmp_path / "run")
    path = tmp_path / "run" / "s"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen(1)
        with pytest.raises(InputError, match="another worker listens there"), listening(path):
            pass
    assert path.exists()


def test_places_that_are_not_safe_are_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    with pytest.raises(DepthFileError, match="chmod 700"), listening(tmp_path / "open" / "s"):
        pass
    (tmp_path / "mine").mkdir(mode=0o700)
    (tmp_path / "mine" / "s").write_text("keep")
    with pytest.raises(InputError, match="is no socket"), listening(tmp_path / "mine" / "s"):
        pass
    assert (tmp_path / "mine" / "s").read_text() == "keep"
    with pytest.raises(InputError, match="at most 107 bytes"), listening(tmp_path / ("x" * 110)):
        pass
    (tmp_path / "mine" / "t.lock").symlink_to(tmp_path / "mine" / "s")
    with pytest.raises(DepthFileError, match="a link"), listening(tmp_path / "mine" / "t"):
        pass
