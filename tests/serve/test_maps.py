"""What an engine makes of a model with several outputs: maps by name, kinds, focal lengths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Optional

import numpy as np
import pytest

from depth.artifact.manifest import Manifest
from depth.artifact.program import ProgramKey
from depth.errors import InputError
from depth.images.read import SourceImage, decode_image
from depth.maps.result import EXIF, FOCAL_PX, FOV_DEG, MODEL, FloatArray, Focal
from depth.steps.focal import FocalAsked
from serve.arrays import Arrays
from serve.backend import Backend, ProgramWorker
from serve.engine import Engine
from serve.errors import ProgramError
from serve.library import Library
from tests.support.hostile import encoded, picture
from tests.support.manifests import made_artifact, made_manifest, sky_manifest

SIZE = (28, 56)  # of the network; images have twice that
DEPTH_M = 3.0


class Sky:
    """A network whose upper half is sky."""

    def __init__(self) -> None:
        self.given: list[Arrays] = []

    def run(self, arrays: Arrays) -> dict[str, FloatArray]:
        self.given.append(arrays)
        depth = np.full((1, *SIZE), DEPTH_M, np.float32)
        sky = np.zeros((1, *SIZE), np.float32)
        sky[:, :14], depth[:, :14] = 1.0, 0.0
        return {"depth": depth, "sky": sky}


class Served:
    """Engines over one network; they are closed in the end."""

    def __init__(self) -> None:
        self.network = Sky()
        self._engines: list[Engine] = []

    def engine(self, manifest: Optional[Manifest] = None, **options: Any) -> Engine:
        made = made_artifact(manifest or sky_manifest([ProgramKey(*SIZE, 1)]))
        engine = Engine(Library([made]), backend=self._backend, **options)
        self._engines.append(engine)
        return engine

    def _backend(self, _library: Library, _images: int) -> Backend:
        worker = ProgramWorker(lambda _program: self.network)
        return Backend([worker], None, images_at_once=1, shared=True)

    def close(self) -> None:
        for engine in self._engines:
            engine.close()


@pytest.fixture(name="served")
def served_fixture() -> Iterator[Served]:
    served = Served()
    yield served
    served.close()


def image(exif_px: Optional[float] = None) -> SourceImage:
    source = decode_image(encoded(picture(56, 112), "PNG"), "image")
    return replace(source, header=replace(source.header, focal_px=exif_px))


def test_maps_have_names_kinds_and_the_size_of_the_image(served: Served) -> None:
    result = served.engine().result(image())
    assert {name: found.kind for name, found in result.maps.items()} == {
        "depth": "focal_normalised",
        "sky": "sky",
    }
    assert all(found.values.shape == (56, 112) for found in result.maps.values())
    assert np.all(result.depth.values == DEPTH_M)  # the sky is as far as all else
    assert result.focal is None
    assert result.provenance.steps == (
        "resize",
        "normalise",
        "sky_to_far(seed=0)",
        "resize_back",
    )


def test_the_network_gets_what_the_steps_make(served: Served) -> None:
    served.engine().result(image())
    (given,) = served.network.given
    assert given["images"].shape == (1, 3, *SIZE)
    folded = sky_manifest([ProgramKey(*SIZE, 1)])
    steps = tuple(s for s in folded.steps if s.as_json().get("do") != "normalise")
    served.engine(replace(folded, steps=steps)).result(image())
    assert abs(given["images"]).max() < 3
    assert 3 < served.network.given[1]["images"].max() <= 255


@pytest.mark.parametrize(
    ("asked", "exif_px", "expected"),
    [
        (None, 1000.0, Focal(500.0, EXIF)),
        (FocalAsked(focal_px=400.0), 1000.0, Focal(200.0, FOCAL_PX)),
        (FocalAsked(fov_deg=90.0), None, Focal(28.0, FOV_DEG)),
    ],
    ids=str,
)
@pytest.mark.parametrize("per_image", [True, False])
def test_a_focal_length_makes_metres(
    served: Served,
    asked: Optional[FocalAsked],
    exif_px: Optional[float],
    expected: Focal,
    per_image: bool,
) -> None:
    options = {"focal": asked} if asked and not per_image else {}
    result = served.engine(**options).result(image(exif_px), asked if per_image else None)
    assert result.depth.kind == "metres"
    assert result.focal is not None
    assert (result.focal.px, result.focal.source) == (pytest.approx(expected.px), expected.source)
    assert result.depth.values.mean() == pytest.approx(DEPTH_M * expected.px / 300)
    assert "metres_from_focal" in result.provenance.steps


def test_the_image_s_own_camera_goes_before_that_of_all(served: Served) -> None:
    engine = served.engine(focal=FocalAsked(focal_px=100.0))
    assert engine.prepare(image(1.0), FocalAsked(focal_px=600.0)).focal == Focal(300.0, FOCAL_PX)
    assert engine.prepare(image(1.0)).focal == Focal(50.0, FOCAL_PX)


def test_a_model_without_such_a_step_has_no_use_for_a_focal_length(served: Served) -> None:
    engine = served.engine(made_manifest(), focal=FocalAsked(focal_px=100.0))
    small = decode_image(encoded(picture(28, 42), "PNG"), "image")
    assert engine.prepare(small).focal is None


def test_maps_can_keep_the_size_of_the_network(served: Served) -> None:
    result = served.engine(output_size=MODEL).result(image())
    assert all(found.values.shape == SIZE for found in result.maps.values())
    assert "resize_back" not in result.provenance.steps


@pytest.mark.parametrize("name", ["depth", "sky"])
def test_every_map_has_to_be_finite(served: Served, name: str) -> None:
    engine = served.engine()
    raw = engine.run(engine.prepare(image()))
    values = raw.outputs[name].copy()
    values[0, 0] = np.nan
    with pytest.raises(ProgramError, match=f"{name} is not finite"):
        engine.finish(replace(raw, outputs={**raw.outputs, name: values}))


def test_an_unknown_pre_processing_is_refused(served: Served) -> None:
    with pytest.raises(InputError, match="no pre-processing 'faster'; choose from reference, fast"):
        served.engine(preprocess="faster")
