"""Source images in files: upright, read late, and the same bytes as before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from depth.errors import ImageError, InputError
from depth.scenes.export import export_scene
from depth.scenes.sources import source_of_file
from tests.support.exported import image
from tests.support.image_samples import exif
from tests.support.places import PHOTOS
from tests.support.scene_readers import read_colmap_bin, read_nerfstudio
from tests.support.scene_samples import H, S, W, small


def saved(path: Path, orientation: int = 1) -> Path:
    pixels = np.ascontiguousarray(image()[..., ::-1])
    Image.fromarray(pixels).save(path, exif=exif(orientation))
    return path


def test_a_file_s_image_is_rgb_and_upright(tmp_path: Path) -> None:
    plain = source_of_file(saved(tmp_path / "a.png"))
    assert plain.size == image().shape[:2]
    np.testing.assert_array_equal(plain.pixels(), image()[..., ::-1])
    turned = source_of_file(saved(tmp_path / "b.png", 6))
    assert turned.size == image().shape[1::-1]
    clockwise = cv2.rotate(image(), cv2.ROTATE_90_CLOCKWISE)
    np.testing.assert_array_equal(turned.pixels(), clockwise[..., ::-1])


def test_a_file_that_changed_or_is_none_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png")
    source = source_of_file(path)
    saved(path, 3)
    with pytest.raises(InputError, match="a.png: its bytes have changed"):
        source.pixels()
    path.unlink()
    with pytest.raises(ImageError, match="a.png: cannot be read"):
        source.pixels()
    path.write_text("text")
    with pytest.raises(ImageError, match="a.png"):
        source_of_file(path)
    with pytest.raises(InputError, match="inside the image"):
        source_of_file(saved(path), window=(0, 0, 1000, 1))


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="there are no photographs")
def test_photographs_are_written_at_their_size(tmp_path: Path) -> None:
    photos = sorted(PHOTOS.glob("*.jpg"))[:S]
    sources = tuple(map(source_of_file, photos))
    scene = small(names=tuple(photo.name for photo in photos))
    export_scene(replace(scene, sources=sources), tmp_path, ["colmap", "nerfstudio"])
    model = read_colmap_bin(tmp_path / "sparse/0")
    frames, _ = read_nerfstudio(tmp_path)
    for view, (source, frame) in enumerate(zip(sources, frames)):
        width, height, parameters = model.cameras[view + 1]
        assert (height, width) == frame.size == source.size
        np.testing.assert_allclose(
            parameters, [5 * width / W, 5 * height / H, width / 2, height / 2]
        )
        written = cv2.imread(str(frame.image))[..., ::-1].astype(int)
        assert np.abs(written - source.pixels()).mean() < 5
