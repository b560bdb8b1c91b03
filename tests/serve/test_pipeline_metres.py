"""Metres from Python: kind, unit, and the camera of the call, of the pipeline or of the file."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from depth.artifact.program import ProgramKey
from depth.errors import InputError
from depth.images.read import decode_image
from depth.maps.files import read_depth
from depth.maps.result import EXIF, FOCAL_PX, FOV_DEG, INTRINSICS, FloatArray, Focal
from serve.arrays import Arrays
from serve.backend import Backend, ProgramWorker
from serve.pipeline import DepthPipeline, FocalAsked
from serve.shapes import BUCKETS
from tests.support.hostile import encoded, picture
from tests.support.manifests import METRIC_OUTPUTS, made_artifact, made_manifest, sky_manifest

KEY = ProgramKey(56, 56, 1)
PIXELS = np.asarray(picture(56, 56))
CAMERA = [[70.0, 0.0, 28.0], [0.0, 70.0, 28.0], [0.0, 0.0, 1.0]]


class DepthAndSky:
    """Stands in for a program of a model that gives both; there is no sky."""

    def run(self, arrays: Arrays) -> dict[str, FloatArray]:
        levels = abs(arrays["images"]).sum(axis=1)
        return {"depth": 1 + levels, "sky": np.zeros_like(levels)}


def made(manifest: Any, **options: Any) -> DepthPipeline:
    worker = ProgramWorker(lambda _program: DepthAndSky())
    backend = Backend([worker], None, images_at_once=2, shared=True)
    return DepthPipeline(
        lambda _sizes: [made_artifact(manifest)],
        policy=BUCKETS,
        sizes=[KEY.size],
        backend=lambda *_: backend,
        **options,
    )


@pytest.fixture(name="pipeline")
def pipeline_fixture() -> Iterator[DepthPipeline]:
    with made(sky_manifest([KEY])) as pipeline:
        yield pipeline


def photograph() -> bytes:
    image = picture(56, 56)
    block = image.getexif()
    block.get_ifd(0x8769)[0xA405] = 28  # mm, of a film of 35 mm
    return encoded(image, "JPEG", exif=block)


def test_a_metric_model_gives_metres(tmp_path: Path) -> None:
    with made(made_manifest([KEY], outputs=METRIC_OUTPUTS)) as pipeline:
        result = pipeline(PIXELS)
    assert (result.depth.kind, result.depth.unit, result.depth.largest) == ("metres", "m", 20.0)
    assert result.focal is None  # its network needs no camera
    result.save(tmp_path / "a", ["png"])
    assert read_depth(tmp_path / "a.json").depth.unit == "m"


def test_each_call_may_name_its_camera(pipeline: DepthPipeline, tmp_path: Path) -> None:
    unknown = pipeline(PIXELS)
    assert (unknown.depth.kind, unknown.depth.unit, unknown.focal) == (
        "focal_normalised",
        None,
        None,
    )
    divisor = unknown.depth.focal_divisor
    assert divisor
    for focal, source in (
        (FocalAsked(focal_px=70.0), FOCAL_PX),
        (FocalAsked(intrinsics=CAMERA), INTRINSICS),
        (FocalAsked(fov_deg=float(np.degrees(2 * np.arctan(28 / 70)))), FOV_DEG),
    ):
        result = pipeline(PIXELS, focal=focal)
        assert (result.depth.kind, result.depth.unit) == ("metres", "m")
        assert result.focal is not None
        assert result.focal.source == source
        assert np.isclose(result.focal.px, 70.0)
        wanted = unknown.depth.values * np.float32(result.focal.px / divisor)
        assert np.array_equal(result.depth.values, wanted)
        result.save(tmp_path / source, ["npy"])
        assert read_depth(tmp_path / f"{source}.json").focal == result.focal


def test_a_camera_goes_with_lists_streams_and_asyncio(pipeline: DepthPipeline) -> None:
    asked, wanted = FocalAsked(focal_px=70.0), Focal(70.0, FOCAL_PX)

    async def later() -> list[Any]:
        found = [await pipeline.async_run(PIXELS, focal=asked)]
        return found + [each async for each in pipeline.async_stream([PIXELS], focal=asked)]

    found = [*pipeline([PIXELS, PIXELS], focal=asked), *pipeline.stream([PIXELS], focal=asked)]
    assert [each.focal for each in found + asyncio.run(later())] == [wanted] * 5


def test_a_camera_goes_before_the_pipelines_and_the_pipelines_before_the_files() -> None:
    data = photograph()
    with made(sky_manifest([KEY])) as pipeline:
        of_file = decode_image(data, "a.jpg").header.focal_px
        assert of_file
        assert pipeline(data).focal == Focal(of_file, EXIF)
    with made(sky_manifest([KEY]), focal_px=70.0) as pipeline:
        assert pipeline(data).focal == Focal(70.0, FOCAL_PX)
        assert pipeline(data, focal=FocalAsked(focal_px=35.0)).focal == Focal(35.0, FOCAL_PX)


def test_a_camera_that_cannot_be_is_refused() -> None:
    for asked in ({"focal_px": -1.0}, {"fov_deg": 180.0}, {"intrinsics": [[1.0]]}):
        with pytest.raises(InputError):
            FocalAsked(**asked)
