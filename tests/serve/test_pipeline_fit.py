"""Measured depth in the pipeline, and for a single result."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from depth.errors import FitError, InputError
from depth.family import METRES
from depth.maps.files import read_depth
from serve.jobs.stage import ImageResult
from serve.pipeline import RETURN, DepthPipeline
from serve.shapes import BUCKETS
from tests.support.hostile import encoded, picture
from tests.support.programs import make_artifact

SCALE, SHIFT = 0.5, 0.2


@pytest.fixture(name="artifact", scope="module")
def artifact_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_artifact(tmp_path_factory.mktemp("artifacts")).folder


@pytest.fixture(name="pipeline", scope="module")
def pipeline_fixture(artifact: Path) -> Iterator[DepthPipeline]:
    with DepthPipeline(artifact, policy=BUCKETS) as pipeline:
        yield pipeline


@pytest.fixture(name="image")
def image_fixture(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(picture(56, 70), "PNG"))
    return path


def points(result: ImageResult) -> np.ndarray:
    """Exact points [N,3] of what the network gives."""
    values = result.depth.values.astype(np.float64)
    low, span = values.min(), np.ptp(values)
    rng = np.random.default_rng(0)
    y, x = (rng.integers(0, side, 60) for side in values.shape)
    return np.stack([x, y, 1 / (SCALE * (values[y, x] - low) / span + SHIFT)], 1)


def test_a_result_is_moved_onto_points_and_saved(pipeline: DepthPipeline, image: Path) -> None:
    plain = pipeline(image)
    found = plain.fitted(points(plain))
    assert isinstance(found, ImageResult)
    assert (found.depth.kind, plain.depth.kind) == (METRES, "relative_inverse")
    assert found.fit is not None
    assert found.fit.scale == pytest.approx(SCALE / np.ptp(plain.depth.values), rel=1e-3)
    assert found.fit.inliers == 60
    assert found.depth.values.max() == pytest.approx(1 / SHIFT, rel=0.02)
    found.save(image.with_name("out"), ["npy"])
    stored = read_depth(image.with_name("out.json"))
    assert stored.fit == found.fit
    assert np.array_equal(stored.depth.values, found.depth.values)
    with pytest.raises(FitError, match="fitted before"):
        found.fitted(points(plain))
    with pytest.raises(FitError, match="a result without an image"):
        ImageResult(plain.maps, plain.provenance).fitted(points(plain))
    with pytest.raises(FitError, match=r"points \(60, 2\): expected \[N,3\]"):
        plain.fitted(points(plain)[:, :2])


def test_a_pipeline_fits_every_image_by_its_name(
    artifact: Path, pipeline: DepthPipeline, image: Path
) -> None:
    rows = [f"{x:.0f},{y:.0f},{z!r},a.png" for x, y, z in points(pipeline(image)).tolist()]
    file = image.with_name("points.csv")
    file.write_text("\n".join(["x_px,y_px,depth_m,image", *rows]))
    other = image.with_name("b.png")
    other.write_bytes(image.read_bytes())
    with DepthPipeline(artifact, policy=BUCKETS, fit=file) as fitting:
        done, refused = fitting([image, other], errors=RETURN)
    assert isinstance(done, ImageResult)
    assert done.depth.kind == METRES
    assert isinstance(refused, FitError)
    assert "no entry for" in str(refused)
    with pytest.raises(InputError, match="No such file or directory"):
        DepthPipeline(artifact, fit=image.with_name("none.csv"))
    file.write_text("x_px,y_px,depth_m\n1,2,3\n")
    with pytest.raises(InputError, match=r"names no image, and there may be many.*result\.fitted"):
        DepthPipeline(artifact, fit=file)


def test_depth_at_the_size_of_the_network_is_fitted_at_the_same_places(
    artifact: Path, image: Path
) -> None:
    with DepthPipeline(artifact, policy=BUCKETS, output_size="model") as pipeline:
        image.write_bytes(encoded(picture(112, 140), "PNG"))
        plain = pipeline(image)
        whole = np.array([plain.source["width_px"] - 1, plain.source["height_px"] - 1])
        rows = points(plain)
        own = np.array(plain.depth.values.shape[::-1]) - 1
        assert (whole != own).any()
        rows[:, :2] *= whole / own
        found = plain.fitted(rows)
    assert found.fit is not None
    assert found.fit.median_share < 1e-5
