"""`feat_vis`: features as pictures and as a video."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from depth.errors import InputError
from depth.images import video
from depth.images.film import encoded_mp4
from depth.scenes.export import export_scene
from depth.scenes.formats.feat_vis import colours
from depth.scenes.options import Options
from depth.scenes.scene import Scene
from tests.support.rendered import rendered, sure
from tests.support.scene_samples import with_all


@pytest.fixture(scope="module")
def scene() -> Scene:
    return with_all(sure(rendered(size=(24, 32))).scene)


def along(axes: np.ndarray, strengths: tuple[float, ...]) -> np.ndarray:
    """Features [2,6,8,C] that differ along these axes [3,C], and in nothing else."""
    rng = np.random.default_rng(1)
    values = rng.uniform(-1, 1, (2 * 6 * 8, len(strengths))) * strengths
    return (values @ axes).reshape(2, 6, 8, -1).astype(np.float32)


def test_the_strongest_differences_are_red_then_green_then_blue() -> None:
    axes, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((12, 3)))
    features = along(axes.T, (9.0, 3.0, 1.0)) + 5
    found = colours(features).reshape(-1, 3).astype(float) / 255
    places = (features.reshape(-1, 12) - features.reshape(-1, 12).mean(0)) @ axes
    for channel in range(3):
        low, high = np.percentile(places[:, channel], (10, 90))
        expected = np.clip((places[:, channel] - low) / (high - low), 0, 1)
        likeness = np.corrcoef(expected, found[:, channel])[0, 1]
        assert abs(likeness) > 0.97, channel
        assert found[:, channel].min() == 0
        assert found[:, channel].max() == 1


def test_colours_stay_when_views_change_their_order_and_bear_no_number() -> None:
    rng = np.random.default_rng(2)
    features = rng.standard_normal((3, 4, 5, 7), dtype=np.float32)
    found = colours(features)
    difference = np.abs(colours(features[::-1])[::-1].astype(int) - found)
    assert difference.max() <= 1
    features[0, 0, 0] = np.nan
    features[0, 0, 1, 0] = np.inf
    assert colours(features).shape == found.shape
    assert colours(features[..., :2]).any()
    assert (colours(np.ones((1, 2, 2, 4), np.float32)) == 0).all()


def test_pictures_are_beside_the_images(scene: Scene, tmp_path: Path) -> None:
    export_scene(scene, tmp_path, ["feat_vis"])
    folders = sorted(path.name for path in (tmp_path / "feat_vis").iterdir() if path.is_dir())
    assert folders == ["feat_layer_1", "feat_layer_3"]
    paths = sorted((tmp_path / "feat_vis/feat_layer_3").iterdir())
    assert [path.name for path in paths] == [f"{view:06d}.jpg" for view in range(4)]
    found = cv2.imread(str(paths[2]))[..., ::-1].astype(int)
    assert found.shape == (24, 64, 3)
    assert scene.images is not None
    assert np.abs(found[:, :32] - scene.images[2]).mean() < 8
    cells = np.kron(colours(scene.features["feat_layer_3"])[2], np.ones((4, 4, 1), int))
    assert np.abs(found[:, 32:] - cells).mean() < 25
    export_scene(replace(scene, images=None), tmp_path / "b", ["feat_vis"])
    assert cv2.imread(str(tmp_path / "b/feat_vis/feat_layer_1/000000.jpg")).shape == (24, 32, 3)


def test_a_video_has_the_pictures(scene: Scene, tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="av is not installed: it makes videos")
    export_scene(scene, tmp_path, ["feat_vis"], Options(fps=7.5))
    with av.open(str(tmp_path / "feat_vis/feat_layer_1.mp4")) as opened:
        (stream,) = opened.streams.video
        assert float(stream.average_rate) == 7.5
        pictures = [frame.to_ndarray(format="rgb24") for frame in opened.decode(stream)]
    assert [picture.shape for picture in pictures] == [(24, 64, 3)] * 4
    assert scene.images is not None
    for picture, image in zip(pictures, scene.images):
        assert np.abs(picture[:, :32].astype(int) - image).mean() < 12


def test_odd_sides_lose_a_px_and_no_picture_is_refused() -> None:
    av = pytest.importorskip("av", reason="av is not installed: it makes videos")
    import io

    data = encoded_mp4([np.zeros((25, 31, 3), np.uint8)] * 2, 24)
    with av.open(io.BytesIO(data)) as opened:
        assert next(opened.decode(video=0)).to_ndarray(format="rgb24").shape == (24, 30, 3)
    assert encoded_mp4([np.zeros((25, 31, 3), np.uint8)] * 2, 24) == data
    with pytest.raises(InputError, match="a video of no pictures"):
        encoded_mp4([], 24)


@pytest.fixture
def without_av(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "find_spec", lambda _name: None)


@pytest.mark.usefixtures("without_av")
def test_without_the_package_there_are_pictures_alone(scene: Scene, tmp_path: Path) -> None:
    written = export_scene(scene, tmp_path, ["feat_vis"])
    assert {path.suffix for path in written} == {".jpg", ".json"}


def test_a_scene_without_features_is_refused(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="feat_vis needs features, and the scene has none"):
        export_scene(replace(scene, features={}), tmp_path, ["feat_vis"])
    values = scene.features["feat_layer_1"]
    for name in ("../up", "", "a/b"):
        with pytest.raises(InputError, match="expected a name such as feat_layer_5"):
            replace(scene, features={name: values})
    for wrong in (values[:3], values.astype(np.float64), values[..., 0]):
        with pytest.raises(InputError, match=r"feat_layer_1 of a scene: .*float32 \[4,h,w,C\]"):
            replace(scene, features={"feat_layer_1": wrong})
