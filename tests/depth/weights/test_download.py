"""Fetching checkpoints from a hub of our own on a loopback port."""

from __future__ import annotations

import hashlib
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import huggingface_hub.constants
import pytest
from huggingface_hub.utils import reset_sessions

from depth.errors import DownloadError, LicenceError
from depth.weights.download import fetch
from depth.weights.registry import CC_BY_NC, SPACE
from tests.support.fresh_python import run_python
from tests.support.hub_mirror import FILE, SHA256, WEIGHTS, Hub
from tests.support.places import ROOT
from tests.support.processes import until


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "home" / "hub"))
    yield server
    reset_sessions()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_good_file_gets_its_name_and_nothing_else_is_left(
    hub: Hub, folder: Path, tmp_path: Path
) -> None:
    path = fetch(FILE, folder)
    assert path == folder / "tiny.pth"
    assert path.read_bytes() == WEIGHTS
    assert names(folder) == ["tiny.pth"]
    assert not (tmp_path / "home").exists()  # no second copy in the hub's cache
    assert hub.requests[-1] == "GET"


def test_a_file_is_saved_under_a_name_of_its_own(hub: Hub, folder: Path) -> None:
    first = fetch(replace(FILE, saved_as="first.pth"), folder)
    second = fetch(replace(FILE, saved_as="second.pth"), folder)
    assert [path.name for path in (first, second)] == names(folder) == ["first.pth", "second.pth"]
    assert hub.requests.count("GET") == 2


def test_a_file_in_a_folder_of_a_space_is_saved_by_its_last_name(hub: Hub, folder: Path) -> None:
    file = replace(FILE, filename="sub/tiny.pth", repository_type=SPACE)
    assert fetch(file, folder) == folder / "tiny.pth"
    assert names(folder) == ["tiny.pth"]
    assert hub.requests[-1] == "GET"


def test_the_settings_of_the_hubs_client_are_put_back(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", False)
    before = dict(vars(constants))
    fetch(FILE, folder)
    hub.status = 404
    with pytest.raises(DownloadError):
        fetch(replace(FILE, filename="other.pth"), folder)
    assert vars(constants) == before


def test_a_wrong_body_of_the_right_length_is_refused_and_not_kept(hub: Hub, folder: Path) -> None:
    hub.body = b"X" * len(WEIGHTS)
    wrong = hashlib.sha256(hub.body).hexdigest()
    with pytest.raises(DownloadError, match=f"sha256 {wrong}, expected {SHA256}"):
        fetch(FILE, folder)
    assert names(folder) == []
    hub.body = WEIGHTS
    assert fetch(FILE, folder).read_bytes() == WEIGHTS


@pytest.mark.parametrize("body", [WEIGHTS[:100], WEIGHTS + b"more"], ids=["short", "long"])
def test_a_body_of_the_wrong_length_is_refused(hub: Hub, folder: Path, body: bytes) -> None:
    hub.body = body
    with pytest.raises(DownloadError, match=r"tiny\.pth: the download stopped"):
        fetch(FILE, folder)
    assert not (folder / "tiny.pth").exists()
    hub.body = WEIGHTS
    assert fetch(FILE, folder).read_bytes() == WEIGHTS


def test_another_size_than_published_is_refused(hub: Hub, folder: Path) -> None:
    with pytest.raises(DownloadError, match=r"16,384 bytes, expected 16,385"):
        fetch(replace(FILE, size_bytes=len(WEIGHTS) + 1), folder)
    assert names(folder) == []
    assert hub.requests[-1] == "GET"


def test_a_download_that_was_cut_off_resumes(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 1024)
    hub.cut_at_byte = 4096
    with pytest.raises(DownloadError, match="fetch again and it goes on from there"):
        fetch(FILE, folder)
    assert not (folder / "tiny.pth").exists()
    hub.cut_at_byte = None
    assert fetch(FILE, folder).read_bytes() == WEIGHTS
    assert hub.requests[-1] == "GET bytes=4096-"
    assert names(folder) == ["tiny.pth"]


def test_a_killed_fetch_leaves_no_file_and_the_next_one_finishes(hub: Hub, folder: Path) -> None:
    hub.cut_at_byte = 4096
    hub.hang_up.clear()
    code = (
        "from pathlib import Path\n"
        "from depth.weights.download import fetch\n"
        "from depth.weights.registry import PublishedFile\n"
        f"fetch({FILE!r}, Path({str(folder)!r}))"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) as process:
        assert until(lambda: "GET" in hub.requests or process.poll() is not None, 60)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert names(folder) == [".tiny.pth.partial"]
    hub.cut_at_byte = None
    hub.hang_up.set()
    assert fetch(FILE, folder).read_bytes() == WEIGHTS
    assert names(folder) == ["tiny.pth"]


@pytest.mark.parametrize(
    ("status", "reason"), [(404, "does not have it"), (401, "HF_TOKEN"), (503, "try again later")]
)
def test_a_refusal_is_explained_with_the_way_to_do_it_by_hand(
    hub: Hub, folder: Path, status: int, reason: str
) -> None:
    hub.status = status
    with pytest.raises(DownloadError, match=reason) as caught:
        fetch(FILE, folder)
    message = str(caught.value)
    assert str(status) in message
    assert "https://huggingface.co/owner/tiny" in message
    assert str(folder / "tiny.pth") in message
    assert hub.requests == ["HEAD"]  # asked once, not retried


def test_an_unreachable_hub_is_reported_at_once(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
        started_s = time.monotonic()
        with pytest.raises(DownloadError, match=f"cannot reach http://127.0.0.1:{port}"):
            fetch(FILE, folder)
    assert time.monotonic() - started_s < 5
    assert names(folder) == []
    assert hub.requests == []


def test_a_licence_is_accepted_before_any_network(hub: Hub, folder: Path) -> None:
    gated = replace(FILE, licence=CC_BY_NC)
    with pytest.raises(LicenceError, match=r"CC-BY-NC-4\.0.*--accept-licence"):
        fetch(gated, folder)
    assert hub.requests == []
    assert not folder.exists()
    assert fetch(gated, folder, accept_licence=True).read_bytes() == WEIGHTS


def test_an_existing_file_needs_no_network(hub: Hub, folder: Path) -> None:
    folder.mkdir()
    (folder / "tiny.pth").write_bytes(WEIGHTS)
    assert fetch(replace(FILE, licence=CC_BY_NC), folder) == folder / "tiny.pth"
    assert hub.requests == []


@pytest.mark.parametrize("content", [b"mine", b"X" * len(WEIGHTS)], ids=["size", "sha256"])
def test_another_file_with_that_name_is_left_alone(hub: Hub, folder: Path, content: bytes) -> None:
    folder.mkdir()
    (folder / "tiny.pth").write_bytes(content)
    with pytest.raises(DownloadError, match=r"tiny\.pth is there already .* move it away"):
        fetch(FILE, folder)
    assert (folder / "tiny.pth").read_bytes() == content
    assert hub.requests == []


def test_a_folder_with_that_name_is_left_alone(hub: Hub, folder: Path) -> None:
    (folder / "tiny.pth").mkdir(parents=True)
    with pytest.raises(DownloadError, match="not a regular file"):
        fetch(FILE, folder)
    assert hub.requests == []


def test_a_file_without_known_sha256_is_fetched_with_a_warning(
    hub: Hub, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    unknown = replace(FILE, sha256=None, size_bytes=None)
    with caplog.at_level(logging.WARNING, "depth.weights.download"):
        assert fetch(unknown, folder).read_bytes() == WEIGHTS
    (record,) = caplog.records
    assert record.message == f"tiny.pth is unverified: no sha256 is published; it has {SHA256}"
    assert hub.requests[-1] == "GET"


def put_in_hub_cache(home: Path, body: bytes) -> Path:
    snapshot = home / "hub" / "models--owner--tiny" / "snapshots" / FILE.revision
    snapshot.mkdir(parents=True)
    (snapshot / "tiny.pth").write_bytes(body)
    return snapshot / "tiny.pth"


def test_a_right_file_in_the_hubs_cache_is_used_without_network(
    hub: Hub, folder: Path, tmp_path: Path
) -> None:
    cached = put_in_hub_cache(tmp_path / "home", WEIGHTS)
    assert fetch(FILE, folder).read_bytes() == WEIGHTS
    assert hub.requests == []
    assert cached.exists()
    assert names(folder) == ["tiny.pth"]


def test_a_wrong_file_in_the_hubs_cache_is_downloaded_afresh(
    hub: Hub, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put_in_hub_cache(tmp_path / "home", b"X" * len(WEIGHTS))
    assert fetch(FILE, folder).read_bytes() == WEIGHTS
    assert "wrong bytes and is not used" in caplog.text
    assert "GET" in hub.requests


def test_a_folder_that_cannot_be_used_is_named(hub: Hub, folder: Path) -> None:
    folder.write_bytes(b"a file")
    with pytest.raises(DownloadError, match=f"cannot use {folder}"):
        fetch(FILE, folder)
    assert hub.requests == []


def test_two_fetches_at_once_download_once(hub: Hub, folder: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        paths = list(pool.map(lambda _: fetch(FILE, folder), range(3)))
    assert paths == [folder / "tiny.pth"] * 3
    assert hub.requests.count("GET") == 1


def test_fetch_offline_exits_with_1_and_gives_advice(tmp_path: Path) -> None:
    command = ("main.py", "checkpoints", "fetch", "vits", "--folder", str(tmp_path))
    result = run_python(*command, HF_HUB_OFFLINE="1", HF_HUB_CACHE=str(tmp_path / "hub"))
    assert (result.returncode, result.stdout) == (1, "")
    licence, *lines = result.stderr.splitlines()
    error = "\n".join(lines)
    assert len(lines) == 3
    assert "HF_ENDPOINT names a mirror" in error
    assert licence == "depth_anything_v2_vits.pth: licence Apache-2.0"
    assert error.startswith("main.py: depth_anything_v2_vits.pth: HF_HUB_OFFLINE is set")
    assert "https://huggingface.co/depth-anything/Depth-Anything-V2-Small" in error
    assert str(tmp_path / "depth_anything_v2_vits.pth") in error
