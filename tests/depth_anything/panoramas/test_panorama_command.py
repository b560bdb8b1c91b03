"""`python main.py panorama` and `PanoramaPipeline`, with the bundled model and its programs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from depth.errors import InputError
from depth.maps.files import read_depth
from depth.maps.schema import schema_named
from depth_anything import PanoramaPipeline, cli
from serve.__main__ import main as serve
from tests.support.commands import Ended, ended
from tests.support.panoramas import write_panorama
from tests.support.videos import write_video


def panorama(*arguments: object) -> Ended:
    return ended(cli.main, "depth", "panorama", *arguments, "--model", "demo")


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.long
def test_panoramas_become_depth_again_and_again() -> None:
    write_panorama(Path("in/room.png"), 128)
    done = panorama("in", "-o", "out", "--cube-faces")
    assert done.code == 0, done.err
    found = read_depth("out/room.json")
    assert found.depth.values.shape == (128, 256)
    assert found.projection
    assert found.projection.disagreement < 0.3
    steps = np.abs(np.diff(found.depth.values, axis=1)).mean(axis=0)
    seam = np.abs(found.depth.values[:, 0] - found.depth.values[:, -1]).mean()
    assert seam <= 2 * np.quantile(steps, 0.9)
    assert Path("out/cube/images/front/room.jpg").is_file()
    assert Path("out/room.preview.jpg").is_file()
    Draft202012Validator(schema_named("result")).validate(
        json.loads(Path("out/room.json").read_text())
    )
    again = panorama("in", "-o", "out", "--cube-faces")
    assert "1 already there" in again.err
    write_video(Path("tour.avi"), 3, sizes=((64, 128),))
    video = panorama("tour.avi", "-o", "frames", "--fps", 5, "--views", "cube6")
    assert video.code == 0, video.err
    assert sorted(path.name for path in Path("frames/tour").glob("*.json")) == [
        "000000.json",
        "000002.json",
    ]
    with PanoramaPipeline("demo") as pipeline:
        other = pipeline("in/room.png")
    assert np.allclose(other.depth.values, found.depth.values, atol=2e-5)
    assert other.projection == found.projection
    (artifact,) = Path("artifacts").iterdir()
    served = ended(serve, "serve", "panorama", "in", "-o", "served", "--artifact", artifact)
    assert served.code == 0, served.err
    assert np.array_equal(read_depth("served/room.json").depth.values, found.depth.values)
    square = panorama("in/room.png", "-o", "in2", "--cube-faces", "--save-views")
    assert square.code == 2
    assert "--cube-faces and --save-views: give one of them" in square.err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--fov-deg", 90, "--views", "cube6"), "leave gaps, or hardly overlap"),
        (("--view-px", 9), "views of 9 px: expected 56 to 2048"),
        (("--align", "both"), "'both' is not one of"),
    ],
)
def test_what_cannot_be_asked_ends_before_any_work(
    arguments: tuple[object, ...], reason: str
) -> None:
    refused = panorama("nowhere", *arguments)
    assert refused.code == 2
    assert reason in refused.err
    assert not Path("output_depth").exists()


def test_a_pipeline_refuses_what_cannot_be_asked_and_what_is_no_panorama() -> None:
    with pytest.raises(InputError, match="choose from cube6"):
        PanoramaPipeline("demo", views="cube7")
    with PanoramaPipeline("demo") as pipeline, pytest.raises(InputError, match="twice as wide"):
        pipeline(np.zeros((30, 40, 3), np.uint8))
