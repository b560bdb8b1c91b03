"""The seam is one: a family that only the tests know goes the whole way on every CPU target."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from compile.build.build import build
from compile.build.request import Request
from compile.parity.again import reparity
from compile.untrained import untrained_checkpoint
from depth import family
from depth.artifact.manifest import read_artifact
from depth.maps.files import read_depth
from serve.engine import Engine
from serve.library import Library
from tests.support.hostile import picture
from tests.support.places import ROOT

PACKAGE = "tests.support.third_family"


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family, "FAMILIES", [*family.FAMILIES, PACKAGE])


def made(out: Path, target: str, batches: tuple[int, ...] = (1,)) -> Path:
    model = family.model_named("third")
    sizes = [(96, 128), (128, 128)]
    request = Request(model, untrained_checkpoint(model), target, "fp32", sizes, batches)
    return build(request, out)


@pytest.mark.parametrize("target", ["openvino", "onnx", "torchscript"])
def test_a_third_family_is_built_proven_and_served(target: str, tmp_path: Path) -> None:
    artifact = read_artifact(made(tmp_path / "artifacts", target, (1, 2)))
    m = artifact.manifest
    assert (m.family, m.model, m.size.bound, m.size.multiple_px) == (PACKAGE, "third", "upper", 32)
    assert len(m.programs) == 4
    assert m.programs[1].outputs[1].shape(m.programs[1].shape) == (2, 48, 64)
    assert m.gate.passed
    assert set(m.gate.limits) == {"depth", "confidence"}
    for program in m.programs:
        assert program.measured is not None
        for numbers in program.measured.values():
            assert 0 <= float(numbers["max_rel"] or 0) < 5e-4
    assert not reparity(artifact, None, (), lambda _: None).problems

    photos = tmp_path / "photos"
    photos.mkdir()
    picture(150, 200).save(photos / "a.png")
    picture(60, 60).save(photos / "b.png")
    out = tmp_path / "depth"
    run_folder_of(Library([artifact]), photos, out)
    for name, size in (("a", (150, 200)), ("b", (60, 60))):
        result = read_depth(out / f"{name}.json")
        assert {key: found.kind for key, found in result.maps.items()} == {
            "depth": "relative_depth",
            "confidence": "confidence",
        }
        for found in result.maps.values():
            assert found.values.shape == size
            assert np.ptp(found.values) > 0
        assert result.maps["confidence"].values.min() >= 1
        described = json.loads((out / f"{name}.json").read_text())
        assert described["provenance"]["model"] == "third"


def run_folder_of(library: Library, photos: Path, out: Path) -> None:
    from serve.folder.job import run_folder
    from serve.folder.request import FolderJob

    with Engine(library, "exact") as engine:
        report = run_folder(engine, FolderJob(input=photos, output=out, formats=("npy", "png")))
    assert report.exit_code == 0


def test_no_line_of_the_product_knows_it() -> None:
    for folder in ("compile", "serve", "depth", "depth_anything"):
        for path in (ROOT / folder).rglob("*.py"):
            assert "third_family" not in path.read_text(encoding="utf-8"), path


def test_the_seam_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family, "FAMILIES", [n for n in family.FAMILIES if n != PACKAGE])
    with pytest.raises(family.InputError, match="no model 'third'; choose from .*vits"):
        family.model_named("third")
