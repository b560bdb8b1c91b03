"""Layers of int8 that the gate refuses are chosen again, by a smaller margin."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from compile.build import build as build_module
from compile.build.build import build
from compile.errors import ParityError
from compile.int8.choice import Ranking
from compile.int8.images import choose
from compile.int8.layers import Quantisation
from depth.artifact.manifest import read_artifact
from tests.support.networks import request
from tests.support.quantiser_standin import Call, install, pictures

SMALL = (28, 42)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    return install(monkeypatch)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return pictures(tmp_path / "images", ("a.png", "b.png", "c.png", "d.png", "e.png"))


class Refusing:
    """A gate that refuses the first programs, and accepts later ones."""

    def __init__(self, patch: pytest.MonkeyPatch, refused: int) -> None:
        self.left = refused
        self.own = build_module.failure
        # The stand-in makes no error, so the margins have to give their choices here.
        margins = {0.6: 2, 0.3: 2, 0.15: 1}
        patch.setattr(Ranking, "_most", lambda _, margin: margins[margin])
        patch.setattr(build_module, "failure", self)

    def __call__(self, *given: object) -> object:
        self.left -= 1
        return "depth max_rel 0.125 (limit 0.1)" if self.left >= 0 else self.own(*given)


def refused(out: Path, images: Path, layers: tuple[str, ...], **changes: object) -> list[str]:
    """Steps of a build; whatever it raises is the last."""
    gate, calibration = choose(images, 2)
    asked = request(target="openvino", precision="int8", sizes=[SMALL], photographs=gate)
    asked = replace(asked, quantisation=Quantisation(calibration, layers), **changes)
    said: list[str] = []
    try:
        said.append(str(build(asked, out, said.append)))
    except ParityError as error:
        said.append(str(error))
    return said


AGAIN = "int8: over the limit (28x42-b1: depth max_rel 0.125 (limit 0.1)): again with fewer"


@pytest.mark.long
def test_chosen_layers_that_the_gate_refuses_are_chosen_again(
    tmp_path: Path, calls: list[Call], monkeypatch: pytest.MonkeyPatch, images: Path
) -> None:
    """The second margin gives the same choice, so that the third is taken at once."""
    Refusing(monkeypatch, 1)
    *said, folder = refused(tmp_path / "out", images, ())
    assert [AGAIN in text for text in said].count(True) == 1
    assert len([text for text in said if "layers 1 of 2" in text]) == 1
    assert len(calls) == 1  # calibrated once
    artifact = read_artifact(Path(folder))
    (flag,) = (flag for flag in artifact.manifest.flags if flag.startswith("float_layers="))
    assert flag in ("float_layers=decoder", "float_layers=encoder")
    layers = json.loads((artifact.folder / "report.json").read_text())["layers"]
    assert [trial["chosen"] for trial in layers["choice"]["trials"]] == [True, False]
    assert artifact.manifest.gate.passed


@pytest.mark.long
@pytest.mark.usefixtures("calls")
def test_after_the_smallest_margin_the_gate_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: Path
) -> None:
    Refusing(monkeypatch, 2)
    *said, problem = refused(tmp_path / "out", images, ())
    assert [AGAIN in text for text in said].count(True) == 1
    assert problem.startswith("28x42-b1: depth max_rel 0.125 (limit 0.1). Nothing is written.")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.usefixtures("calls")
def test_layers_that_the_user_names_are_never_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: Path
) -> None:
    Refusing(monkeypatch, 1)
    *said, problem = refused(tmp_path / "out", images, ("decoder",))
    assert not any("fewer" in text for text in said)
    assert "depth max_rel 0.125" in problem
