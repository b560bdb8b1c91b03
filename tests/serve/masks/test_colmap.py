"""COLMAP itself finds no features where a mask says so. Needs the package `pycolmap`."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.hostile import encoded
from tests.support.mask_jobs import depth_for, masks_

pycolmap = pytest.importorskip("pycolmap", reason="pycolmap is not installed: put it on PYTHONPATH")


def features(images: Path, masks: Path, scratch: Path) -> dict[str, Any]:
    """Places of the features of each image, [N,2] px; `masks` may be a folder that is not there."""
    database = scratch / f"{masks.name}.db"
    reader = pycolmap.ImageReaderOptions()
    reader.mask_path = str(masks) if masks.exists() else ""
    pycolmap.extract_features(
        database_path=str(database), image_path=str(images), reader_options=reader
    )
    query = "select name, rows, cols, data from keypoints natural join images"
    with sqlite3.connect(database) as rows:
        return {
            name: np.frombuffer(data, np.float32).reshape(count, columns)[:, :2]
            for name, count, columns, data in rows.execute(query)
        }


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_colmap_finds_nothing_in_masked_parts(orientation: int, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    image = Image.fromarray(noise.repeat(8, axis=0).repeat(8, axis=1))
    exif = Image.Exif()
    exif[0x0112] = orientation
    images, out = tmp_path / "in", tmp_path / "masks"
    (images / "a").mkdir(parents=True)
    (images / "a/b.jpg").write_bytes(encoded(image, "JPEG", exif=exif))
    depth = depth_for(tmp_path / "depth", images)
    masked = masks_("-i", images, "-o", out, "--depth", depth, "--farthest", "30", "--no-preview")
    assert masked.code == 0, masked.err
    mask = np.array(Image.open(out / "a/b.jpg.png"))
    assert mask.shape == (320, 480)

    def inside(found: Any) -> int:
        columns, rows = found.astype(int).T
        return int((mask[rows, columns] == 0).sum())

    without = features(images, tmp_path / "none", tmp_path)["a/b.jpg"]
    assert inside(without) > 50
    found = features(images, out, tmp_path)["a/b.jpg"]
    assert len(found) > 100
    assert inside(found) == 0
