"""Metres by a focal length: from options or the file, in results, and in what a rerun keeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Optional

import pytest
from typer.testing import CliRunner

from depth.artifact.program import ProgramKey
from depth.errors import InputError
from depth.maps.files import read_depth
from depth.maps.result import EXIF, FOCAL_PX, FloatArray, Focal
from depth.steps.focal import FocalAsked
from serve.arrays import Arrays
from serve.backend import Backend, ProgramWorker
from serve.cli import app
from serve.engine import Engine
from serve.folder.job import run_folder
from serve.folder.options import FolderOptions
from serve.folder.request import FolderJob
from serve.jobs.entry import DONE, KEPT, Entry
from serve.library import Library
from serve.shapes import BUCKETS
from tests.support.hostile import encoded, picture
from tests.support.manifests import made_artifact, sky_manifest


class DepthAndSky:
    """Stands in for a program of a model that gives both."""

    def run(self, arrays: Arrays) -> dict[str, FloatArray]:
        levels = abs(arrays["images"]).sum(axis=1)
        return {"depth": 1 + levels, "sky": levels / levels.max()}


def sky_engine(focal: FocalAsked) -> Engine:
    worker = ProgramWorker(lambda _program: DepthAndSky())
    library = Library([made_artifact(sky_manifest([ProgramKey(56, 56, 1)]))])
    backend = Backend([worker], None, images_at_once=2, shared=True)
    return Engine(library, BUCKETS, focal=focal, backend=lambda *_: backend)


def photograph(focal_35mm: int = 0) -> bytes:
    image = picture(56, 56)
    block = image.getexif()
    if focal_35mm:
        block.get_ifd(0x8769)[0xA405] = focal_35mm
    return encoded(image, "JPEG", exif=block)


def test_another_focal_length_makes_metres_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jpg").write_bytes(photograph())
    (tmp_path / "in/b.jpg").write_bytes(photograph(focal_35mm=28))
    job = FolderJob(tmp_path / "in", tmp_path / "out", formats=("npy",))

    def became(asked: FocalAsked, job: FolderJob = job) -> dict[str, str]:
        with sky_engine(asked) as engine:
            found: list[Entry] = []
            run_folder(engine, job, lambda entry, _: found.append(entry))
        return {entry.image: entry.reason or entry.status for entry in found}

    def focal(name: str) -> Optional[Focal]:
        return read_depth(tmp_path / "out" / f"{name}.json").focal

    nothing, asked = FocalAsked(), FocalAsked(focal_px=70.0)
    assert became(nothing) == {"a.jpg": DONE, "b.jpg": DONE}
    (warning,) = caplog.messages
    assert warning.startswith("a.jpg, and perhaps others: no focal length is known")
    assert became(nothing) == {"a.jpg": KEPT, "b.jpg": KEPT}
    assert (focal("a"), focal("b").source) == (None, EXIF)
    why = became(asked, replace(job, dry_run=True))
    assert why == {"a.jpg": "made with other steps", "b.jpg": "made with other focal length"}
    assert became(asked) == {"a.jpg": DONE, "b.jpg": DONE}
    assert focal("a") == focal("b") == Focal(70.0, FOCAL_PX)
    assert became(asked) == {"a.jpg": KEPT, "b.jpg": KEPT}
    assert became(FocalAsked(focal_px=71.0), replace(job, dry_run=True))["a.jpg"] == (
        "made with other focal length"
    )
    result = read_depth(tmp_path / "out/a.json")
    assert set(result.maps) == {"depth", "sky"}
    assert (tmp_path / "out/a.sky.npy").exists()
    assert result.depth.kind == "metres"


MATRIX = [[70.0, 0.0, 28.0], [0.0, 72.0, 28.0], [0.0, 0.0, 1.0]]


@pytest.mark.parametrize(
    "text",
    [
        "[[70, 0, 28], [0, 72, 28], [0, 0, 1]]\n",
        "70 0 28\n0 72 28\n0 0 1\n",
        "\n70, 0, 28\n\n0, 72, 28,\n0;0; 1",
    ],
)
def test_intrinsics_are_json_or_lines(tmp_path: Path, text: str) -> None:
    path = tmp_path / "camera"
    path.write_text(text)
    assert FolderOptions(focal_px=None, fov_deg=None, intrinsics=path).focal() == FocalAsked(
        intrinsics=MATRIX
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "expected a 3x3 matrix"),
        (b"[1, 2, 3]", "expected a 3x3 matrix"),
        (b"[[1, 2], [3, 4]]", "expected a 3x3 matrix"),
        (b"[" * 5000, "expected a 3x3 matrix"),
        (b"a b c\n1 2 3\n4 5 6", "expected a 3x3 matrix"),
        (b"\xff", "cannot be read"),
        (b"0 0 0\n0 0 0\n0 0 0", "focal lengths 0.0 and 0.0 px"),
        (b"nan 0 0\n0 nan 0\n0 0 1", "focal lengths nan"),
    ],
)
def test_what_is_no_camera_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "camera"
    path.write_bytes(content)
    with pytest.raises(InputError, match=reason):
        FolderOptions(focal_px=None, fov_deg=None, intrinsics=path).focal()
    with pytest.raises(InputError, match="cannot be read"):
        FolderOptions(focal_px=None, fov_deg=None, intrinsics=tmp_path / "nowhere").focal()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--focal-px", "-1"], "focal length -1.0 px"),
        (["--fov-deg", "180"], "angle of view 180.0 degrees"),
        (["--intrinsics", "nowhere"], "nowhere: cannot be read"),
    ],
)
def test_the_command_refuses_a_wrong_camera_before_anything_else(
    options: list[str], reason: str
) -> None:
    done = CliRunner().invoke(app, ["folder", "no/such/artifact", *options])
    assert isinstance(done.exception, InputError)
    assert reason in str(done.exception)
