"""`python app.py`: the page on this machine, its model compiled when first needed."""

from __future__ import annotations

import json
import signal
import socket
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from depth_anything.app import main
from tests.support.places import ROOT
from tests.support.web import app, values_of

SAMPLE = ROOT / "input_images" / "samples" / "hall.jpg"


@pytest.mark.long
def test_the_page_its_samples_and_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with app(tmp_path / "artifacts") as (url, process):
        with urlopen(f"{url}/") as page:
            assert b"<h1>" in page.read()
        with urlopen(f"{url}/page/main.js") as script:
            assert script.headers["content-type"].startswith("text/javascript")
        with urlopen(f"{url}/v1/samples") as answer:
            names = [each["name"] for each in json.load(answer)["samples"]]
        assert SAMPLE.name in names
        values = values_of(url, SAMPLE)
        assert values.max() > values.min()
        with urlopen(f"{url}/v1/models") as answer:
            (model,) = json.load(answer)["models"]
        assert (model["name"], model["policy"]) == ("demo", "buckets")
        assert len(model["sizes"]) <= 2, "4:3 at the start, and the shape of the image"
        assert list(tmp_path.glob("depth-jobs-*"))
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert not list(tmp_path.glob("depth-jobs-*"))


def refused(
    patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *options: str
) -> tuple[int, str]:
    """The exit code of app.py, and what it says at its end."""
    patch.setattr(sys, "argv", ["app.py", "--model", "demo", *options])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0), capsys.readouterr().err


@pytest.mark.long
def test_a_port_that_is_taken_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        options = ("--artifacts", str(tmp_path), "--port", str(port))
        code, said = refused(monkeypatch, capsys, *options)
    assert code == 2
    assert f"127.0.0.1:{port} cannot be listened on" in said


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--model", "vitx"), "'vitx' is not one of"),
        (("--port", "70000"), "70000 is not in the range"),
        (("--checkpoint", "none.pth"), "none.pth: no such file"),
    ],
)
def test_wrong_options_are_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    text: str,
) -> None:
    code, said = refused(monkeypatch, capsys, *options)
    assert code in (1, 2)
    assert text in said
