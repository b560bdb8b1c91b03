"""Readers of depth beside known cameras: nerfstudio, 3dgs and COLMAP."""

from __future__ import annotations

import functools
import json
import runpy
import sys
import types
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np

from tests.support.readers.loading import module


def nerfstudio(place: Path, file: Path) -> dict[str, Any]:
    """As its depth dataset: the size of the camera, metres by the dataparser's default factor."""
    import cv2

    text = (place / "nerfstudio/data/dataparsers/nerfstudio_dataparser.py").read_text()
    factor = float(text.split("depth_unit_scale_factor: float = ")[1].split()[0])
    height, width = cv2.imread(str(file), cv2.IMREAD_UNCHANGED).shape
    reader = module(place / "nerfstudio/data/utils/data_utils.py").get_depth_image_from_path
    read = reader(filepath=file, height=height, width=width, scale_factor=factor)
    return {"depth": read.numpy()[:, :, 0], "scale": factor}


def depth_scale(place: Path, file: Path) -> dict[str, Any]:
    """graphdeco's make_depth_scale.py, as its command: FILE is a PNG in depths/ of its base."""
    utils, base = place / "gaussian-splatting/utils", file.parents[1]
    sys.path.insert(0, str(utils))
    joblib = MagicMock()  # which runs it in threads: here one after the other
    joblib.delayed = lambda function: functools.partial(functools.partial, function)
    joblib.Parallel = lambda **_: lambda calls: [call() for call in calls]
    sys.modules["joblib"] = joblib
    options = ["--base_dir", str(base), "--depths_dir", str(file.parent), "--model_type", "txt"]
    sys.argv = ["make_depth_scale.py", *options]
    runpy.run_path(str(utils / "make_depth_scale.py"), run_name="__main__")
    found = json.loads((base / "sparse/0/depth_params.json").read_text())[file.stem]
    return {key: found[key] for key in ("scale", "offset")}


def splatting_camera(place: Path, file: Path) -> dict[str, Any]:
    """A training view of graphdeco's hierarchical 3dgs, whose camera code runs without CUDA.

    FILE is a PNG in depths/ of a base, and images/ has its image.
    """
    checkout, base = place / "hierarchical-3d-gaussians", file.parents[1]
    sys.path.insert(0, str(checkout))
    scene = types.ModuleType("scene")  # without its __init__, which builds the whole of training
    scene.__path__ = [str(checkout / "scene")]
    sys.modules["scene"] = scene
    from utils.camera_utils import loadCam

    known = json.loads((base / "sparse/0/depth_params.json").read_text())
    scales = [each["scale"] for each in known.values()]
    info = MagicMock(
        image_path=str(base / "images" / file.name),
        mask_path="",
        depth_path=str(file),
        depth_params={**known[file.stem], "med_scale": float(np.median(scales))},
        **{"R": np.eye(3), "T": np.zeros(3), "FovX": 1.0, "FovY": 1.0, "primx": 0.5, "primy": 0.5},
        is_test=False,
    )
    asked = MagicMock(resolution=1, data_device="cpu", train_test_exp=False)
    camera = loadCam(asked, 0, info, 1.0, False)
    return {"inverse": camera.invdepthmap.numpy()[0], "reliable": camera.depth_reliable}


def colmap(place: Path, file: Path) -> dict[str, Any]:
    """FILE is in depth_maps/, and normal_maps/ beside has the normals."""
    read = module(place / "colmap/scripts/python/read_write_dense.py").read_array
    normals = file.parents[1] / "normal_maps" / file.name
    return {"depth": read(str(file)), "normals": read(str(normals))}


def fused(place: Path, file: Path) -> dict[str, Any]:
    """Points of COLMAP's stereo_fusion; FILE is stereo/fusion.cfg of a dense workspace."""
    sys.path.insert(0, str(place / "pycolmap"))
    import pycolmap

    folder, options = file.parents[1], pycolmap.StereoFusionOptions()
    options.min_num_pixels, options.num_threads = 2, 1
    made = pycolmap.stereo_fusion(str(folder / "fused.ply"), str(folder), options=options)
    return {"points": np.reshape([point.xyz for point in made.points3D.values()], (-1, 3))}
