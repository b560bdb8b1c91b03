"""Why a fetch failed: the innermost cause, the proxy by its variable, and no password."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub.utils import reset_sessions

from depth.errors import DownloadError
from depth.weights.download import fetch
from tests.support.hub_mirror import FILE


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    yield
    reset_sessions()


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where nothing listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{closed.getsockname()[1]}"


def failure(folder: Path) -> str:
    with pytest.raises(DownloadError) as caught:
        fetch(FILE, folder)
    return str(caught.value)


def test_the_innermost_cause_is_passed_on_without_the_password(
    nobody: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"http://user:sec@ret@{nobody}")
    said = failure(tmp_path)
    assert said.startswith(f"tiny.pth: cannot reach http://{nobody} (Connection refused).\n")
    assert "ret@" not in said


def test_an_address_that_is_no_url_does_not_show_its_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "user:sec ret@hub.invalid")
    said = failure(tmp_path)
    assert said.startswith("tiny.pth: cannot reach hub.invalid (")
    assert "ret@" not in said


@pytest.mark.parametrize("name", ["ALL_PROXY", "http_proxy"])
def test_a_proxy_is_named_by_its_variable(
    nobody: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    monkeypatch.setenv(name, f"http://user:secret@{nobody}")
    said = failure(tmp_path)
    assert f"http://hub.invalid through the proxy in {name} (Connection refused)" in said
    assert "secret" not in said
    monkeypatch.setenv("NO_PROXY", "hub.invalid")
    reset_sessions()
    assert "the proxy in" not in failure(tmp_path)


def test_a_proxy_of_a_kind_that_needs_a_package_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    said = failure(tmp_path)
    assert "through the proxy in ALL_PROXY (Missing dependencies for SOCKS support)" in said
