"""Fetching a file of a release, from a server of our own on a loopback port."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub.utils import reset_sessions

from depth.errors import DownloadError
from depth.weights import download, release
from depth.weights.download import fetch
from depth.weights.registry import RELEASE
from tests.support.hub_mirror import FILE, WEIGHTS, Hub

ASSET = replace(FILE, repository_type=RELEASE)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    for module in (download, release):
        monkeypatch.setattr(module, "GITHUB", f"http://127.0.0.1:{hub.server_port}")
    yield hub
    reset_sessions()
    hub.shutdown()
    hub.server_close()
    thread.join()


def test_a_good_file_gets_its_name_and_nothing_else_is_left(server: Hub, tmp_path: Path) -> None:
    path = fetch(ASSET, tmp_path / "checkpoints")
    assert path.read_bytes() == WEIGHTS
    assert [found.name for found in path.parent.iterdir()] == ["tiny.pth"]
    assert server.requests == ["HEAD", "GET"]
    assert fetch(ASSET, tmp_path / "checkpoints") == path
    assert server.requests == ["HEAD", "GET"]


def test_an_interrupted_fetch_goes_on_where_it_stopped(server: Hub, tmp_path: Path) -> None:
    part = tmp_path / ".tiny.pth.partial" / "tiny.pth.incomplete"
    part.parent.mkdir()
    part.write_bytes(WEIGHTS[:1000])
    assert fetch(ASSET, tmp_path).read_bytes() == WEIGHTS
    assert server.requests == ["HEAD", "GET bytes=1000-"]


def test_wrong_bytes_are_deleted(server: Hub, tmp_path: Path) -> None:
    server.body = WEIGHTS[::-1]
    with pytest.raises(DownloadError, match="sent other bytes than the published ones"):
        fetch(ASSET, tmp_path / "checkpoints")
    assert not list(tmp_path.rglob("*tiny*"))


@pytest.mark.parametrize(("status", "said"), [(404, "does not have it"), (503, "has a problem")])
def test_a_refusal_says_where_to_get_the_file(
    server: Hub, tmp_path: Path, status: int, said: str
) -> None:
    server.status = status
    with pytest.raises(DownloadError, match=said) as caught:
        fetch(ASSET, tmp_path / "checkpoints")
    page = f"download tiny.pth from https://github.com/owner/tiny/releases/tag/{FILE.revision}"
    assert page in str(caught.value)
    assert "HF_ENDPOINT" not in str(caught.value)
    assert server.requests == ["HEAD"]


def test_no_network_is_used_offline(
    server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    reset_sessions()
    with pytest.raises(DownloadError, match=r"HF_HUB_OFFLINE is set\."):
        fetch(ASSET, tmp_path / "checkpoints")
    assert server.requests == []
