"""`da3 backend`, `gallery` and `gradio`: what they start, and what they refuse."""

from __future__ import annotations

import json
import logging
import signal
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from serve.scenes.asked import SceneAsked
from tests.support.da3_commands import da3
from tests.support.da3_pictures import SIDE
from tests.support.places import ROOT
from tests.support.processes import start, wait_for


@pytest.fixture(autouse=True)
def place(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(shared)
    for name in ("DEPTH_TOKEN", "DA3_GALLERY_DIR", "DA3_WORKSPACE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(logging.getLogger(), "level", logging.WARNING)
    return shared


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What would run, instead of running it."""
    found: list[tuple[Any, ...]] = []
    for name in ("run_backend", "run_gallery"):
        monkeypatch.setattr(
            f"serve.service.scenes.run.{name}", lambda *given, n=name: found.append((n, *given))
        )
    return found


def test_the_backend_serves_the_model(calls: list[tuple[Any, ...]]) -> None:
    flags = ("--root", "photos", "--port", 0, "--target", "eager")
    ended = da3("backend", "--model-dir", "model", *flags)
    assert ended.code == 0, ended.err
    assert "no gallery: workspace/gallery is not there" in ended.err
    ((name, load, model, settings, root),) = calls
    assert (name, model, root) == ("run_backend", "model", Path("photos"))
    assert (settings.host, settings.port, settings.gallery) == ("127.0.0.1", 0, None)
    scene = load()(["photos/b.png"], SceneAsked(process_res=SIDE))
    assert (len(scene), scene.size, scene.provenance.model) == (1, (56, 84), "da3-small")


def test_upstreams_ports(calls: list[tuple[Any, ...]]) -> None:
    Path("workspace/gallery").mkdir(parents=True, exist_ok=True)
    for command, at in (("backend", 8008), ("gradio", 7860)):
        calls.clear()
        assert da3(command, "--model-dir", "model").code == 0
        assert calls[0][3].port == at
        assert calls[0][3].gallery == Path("workspace/gallery")
    assert calls[0][4] == Path("workspace/gradio")
    calls.clear()
    assert da3("gallery", "--open-browser").code == 0
    ((name, settings, opened),) = calls
    assert (name, settings.port, opened) == ("run_gallery", 8007, True)
    Path("workspace/gallery").rmdir()


def test_folders_from_the_environment(
    calls: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DA3_GALLERY_DIR", str(tmp_path))
    monkeypatch.setenv("DA3_WORKSPACE_DIR", "desk")
    assert da3("gradio", "--model-dir", "model", "--debug").code == 0
    assert (calls[0][3].gallery, calls[0][4]) == (tmp_path, Path("desk"))
    assert logging.getLogger().level == logging.DEBUG


REFUSED: list[tuple[tuple[Any, ...], str]] = [
    (("gradio", "--share"), "--share: a public link would send your images"),
    (("gradio", "--cache-examples"), "the page has no example scenes"),
    (("gradio", "--cache-gs-tag", "x"), "the page has no example scenes"),
    (("gradio", "--device", "cuda"), "nothing here runs on a GPU"),
    (("backend", "--device", "cuda"), "nothing here runs on a GPU"),
    (("backend", "--host", "0.0.0.0"), "can be reached from other machines: set a token"),
    (("backend", "--token-file", "none"), "none"),
    (("gallery", "--gallery-dir", "nowhere"), "--gallery-dir nowhere: no such folder"),
]


@pytest.mark.parametrize(("words", "said"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_is_refused(words: tuple[Any, ...], said: str, calls: list[tuple[Any, ...]]) -> None:
    more = () if words[0] == "gallery" else ("--model-dir", "model")
    ended = da3(*words, *more)
    assert ended.code == 2
    assert said in ended.err.splitlines()[-1]
    assert calls == []


def test_models_of_one_image_have_no_backend(
    calls: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("mono").mkdir()
    Path("mono/config.json").write_text('{"model_name": "da3mono-large"}')
    ended = da3("backend", "--model-dir", "mono")
    assert (ended.code, "knows one image at a time, and no scenes" in ended.line()) == (2, True)
    monkeypatch.setenv("DEPTH_TOKEN", "short")
    assert "characters: expected 16 or more" in da3("backend", "--model-dir", "model").err
    assert calls == []


def test_the_gallery_answers_and_ends(tmp_path: Path) -> None:
    scene = tmp_path / "gallery/home/kitchen"
    scene.mkdir(parents=True)
    for name in ("scene.glb", "scene.jpg"):
        (scene / name).write_bytes(b"x")
    (tmp_path / "run").mkdir()
    words = ("da3", "gallery", "--gallery-dir", tmp_path / "gallery", "--port", 0)
    process = start(tmp_path / "run", ROOT / "main.py", *words)
    try:
        said = wait_for(process, tmp_path / "run/stderr", "ready: ")
        url = said.partition("ready: ")[2].split()[0].rstrip("/")
        with urlopen(f"{url}/manifest.json") as answer:
            assert json.load(answer) == {"groups": [{"id": "home", "title": "home"}]}
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
