"""3dgs and colmap, read by graphdeco's and COLMAP's own code.

    CONSUMERS_UPSTREAM=FOLDER make test \
        ARGS="-rP tests/depth/presets/test_reconstruction_consumers.py"

FOLDER has checkouts by their names: gaussian-splatting, hierarchical-3d-gaussians, and colmap of
2025, which still has scripts/python; and what
`pip install --target FOLDER/pycolmap pycolmap==3.13.0` puts there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from depth.family import METRES, RELATIVE_INVERSE
from depth.fitting.fitter import fitter_of
from depth.images.read import read_image
from depth.presets.files import save_result
from depth.presets.shot import Shot
from depth.scenes.export import export_scene
from depth.scenes.options import Options
from depth.steps.focal import FocalAsked
from tests.support.consumers import (
    FOCAL,
    HEIGHT,
    PIXELS,
    WIDTH,
    error_of,
    metres,
    needs_checkout,
    read_by,
    seen,
    written,
)
from tests.support.depth_samples import ramp, result
from tests.support.rendered import Rendered, rendered

SIZE = (120, 160)
DISTANCES = ramp(HEIGHT, WIDTH, 2, 9)  # of the COLMAP model
SCALE, SHIFT = 0.02, 0.07  # from the network's values to inverse depth in the model's unit


def splatting_base(folder: Path, corner: float = 0.5) -> Path:
    """A base folder of 3dgs: an image, its depth by `--fit`, and a model of points on the truth.

    corner  px from which places are counted, off the first pixel's centre; COLMAP's are 0.5 off
    """
    model, values = folder / "sparse/0", DISTANCES
    model.mkdir(parents=True)
    (model / "cameras.txt").write_text(
        f"1 PINHOLE {WIDTH} {HEIGHT} {FOCAL} {FOCAL} {WIDTH / 2} {HEIGHT / 2}\n"
    )
    places, points, rng = [], [], np.random.default_rng(0)
    for number in range(1, 400):
        row, column = int(rng.integers(0, HEIGHT)), int(rng.integers(0, WIDTH))
        z = float(values[row, column])
        x, y = (column + 0.5 - WIDTH / 2) / FOCAL * z, (row + 0.5 - HEIGHT / 2) / FOCAL * z
        places.append(f"{column + corner} {row + corner} {number}")
        points.append(f"{number} {x!r} {y!r} {z!r} 9 9 9 0.5 1 {number - 1}")
    (model / "images.txt").write_text(f"1 1 0 0 0 0 0 0 1 b.png\n{' '.join(places)}\n")
    (model / "points3D.txt").write_text("\n".join(points) + "\n")
    (folder / "images").mkdir()
    cv2.imwrite(str(folder / "images/b.png"), PIXELS)
    header = read_image(folder / "images/b.png").header
    network = result((1 / values - SHIFT) / SCALE, RELATIVE_INVERSE)
    written(folder / "depths", "3dgs", fitter_of(model).fitted(network, "b.png", header))
    return folder


@needs_checkout("gaussian-splatting")
@pytest.mark.parametrize(("corner", "most"), [(0.0, 1e-4), (0.5, 0.05)])
def test_make_depth_scale_finds_our_parameters(tmp_path: Path, corner: float, most: float) -> None:
    """The tool reads places half a px off, as if COLMAP counted them from the first centre."""
    depth = splatting_base(tmp_path, corner) / "depths/b.png"
    found = {
        key: float(value) for key, value in read_by("reconstruction.depth_scale", depth).items()
    }
    ours = json.loads(depth.with_suffix(".json").read_text())["preset"]["facts"]
    codes = cv2.imread(str(depth), -1).astype(np.float32) / 65536  # as training has them
    inverse = 1 / DISTANCES
    off = error_of("make_depth_scale", codes * found["scale"] + found["offset"], inverse)
    assert error_of("ours", codes * ours["scale"] + ours["offset"], inverse) < 1e-5
    assert off < most * float(inverse.max())
    for key in ("scale", "offset"):
        sys.stdout.write(f"{key}: the tool's {found[key]:.6g}, ours {ours[key]:.6g}\n")


@needs_checkout("hierarchical-3d-gaussians")
def test_a_training_view_has_the_inverse_depth_of_the_model(tmp_path: Path) -> None:
    depth = splatting_base(tmp_path) / "depths/b.png"
    facts = json.loads(depth.with_suffix(".json").read_text())["preset"]["facts"]
    (tmp_path / "sparse/0/depth_params.json").write_text(json.dumps({"b": facts}))
    read = read_by("reconstruction.splatting_camera", depth)
    inverse = 1 / DISTANCES
    assert error_of("3dgs", read["inverse"], inverse) <= 0.51 / 65535 * np.ptp(inverse) + 1e-6
    assert read["reliable"]


@needs_checkout("colmap")
def test_colmap_reads_each_distance_and_normal(tmp_path: Path) -> None:
    files = written(tmp_path, "colmap", metres(), "b.png")
    assert files[1] == tmp_path / "normal_maps/b.png.geometric.bin"
    read = read_by("reconstruction.colmap", files[0])
    assert error_of("colmap", read["depth"], seen(metres().depth.values)) == 0
    lengths = np.linalg.norm(read["normals"], axis=2)
    assert error_of("colmap normals", lengths, np.float64(read["depth"] > 0)) < 1e-6


def dense(folder: Path, found: Rendered, known: bool) -> Path:
    """A dense workspace of COLMAP: images, a sparse model, and the files of our preset."""
    scene, (height, width) = found.scene, found.scene.size
    export_scene(scene, folder / "made", ["colmap"], Options(seed=1))
    (folder / "made/images").rename(folder / "images")
    (folder / "made/sparse/0").rename(folder / "sparse")
    asked = FocalAsked(focal_px=float(scene.intrinsics[0, 0, 0])) if known else FocalAsked()
    shot = Shot(asked, image_size=(height, width))
    for name, depth in zip(scene.names, scene.depth):
        stored = result(depth, METRES, None)
        save_result(stored, folder / "stereo" / name, (), {}, preset="colmap", shot=shot)
    (folder / "stereo/fusion.cfg").write_text("\n".join(scene.names) + "\n")
    return folder


def off_truth(found: Rendered, points: Any) -> Any:
    """How far each point is from the surface in the view that fits best, as a share of its depth.

    COLMAP's fusion takes px from the first pixel's centre, half a pixel off its own cameras.
    """
    scene, best = found.scene, np.full(len(points), np.inf)
    for view, (pose, matrix) in enumerate(zip(scene.extrinsics, scene.intrinsics)):
        x, y, z = (points @ pose[:3, :3].T + pose[:3, 3]).T
        places = np.stack([x, y], 1) / z[:, np.newaxis] * matrix[0, 0] + matrix[:2, 2] + 0.5
        inside = (places > 0).all(1) & (places < scene.size[::-1]).all(1) & (z > 0)
        off = np.abs(found.depth_at(view, places) - z) / z
        best = np.where(inside, np.minimum(best, off), best)
    return best


@needs_checkout("pycolmap")
@pytest.mark.parametrize("known", [True, False])
def test_colmap_fuses_our_depth_into_the_surface(tmp_path: Path, known: bool) -> None:
    found = rendered(size=SIZE)
    read = read_by("reconstruction.fused", dense(tmp_path, found, known) / "stereo/fusion.cfg")
    off = off_truth(found, read["points"])
    middle, most = np.median(off), np.quantile(off, 0.95)
    sys.stdout.write(f"stereo_fusion: {len(off)} points, off {middle:.2g}, 95 % {most:.2g}\n")
    assert len(off) > 0.1 * found.scene.depth.size
    assert middle < 1e-4
    assert most < 1e-3


@needs_checkout("pycolmap")
def test_colmap_fuses_nothing_without_normals(tmp_path: Path) -> None:
    """Why the preset has them."""
    folder = dense(tmp_path, rendered(size=(30, 40)), known=True)
    for file in (folder / "stereo/normal_maps").iterdir():
        file.unlink()
    assert not len(read_by("reconstruction.fused", folder / "stereo/fusion.cfg")["points"])
