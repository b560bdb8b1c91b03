"""Run in a process of its own: a file of a preset, read by the code of the tool that it is for.

    python consumer_readers.py READER PLACE FILE OUT.npz

PLACE is a checkout of the tool. Of `open3d` it is the folder that Open3D and its numpy are
installed in, and PYTHONPATH names it. OUT holds what
the reader gives.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np

# What iw3's modules import for its models alone; reading depth takes none of it.
_OF_MODELS = (
    "nunif",
    "nunif.device",
    "nunif.models",
    "nunif.models.data_parallel",
    "nunif.models.utils",
    "nunif.utils",
    "nunif.utils.home_dir",
    "nunif.utils.ui",
    "iw3.hub_dir",
)


def module(path: Path) -> Any:
    """A module of a checkout, without the packages around it."""
    spec = importlib.util.spec_from_file_location(f"consumer_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def midas(place: Path, file: Path) -> dict[str, Any]:
    data, scale = module(place / "utils.py").read_pfm(str(file))
    return {"depth": data, "scale": scale}


def nerfstudio(place: Path, file: Path) -> dict[str, Any]:
    """As its depth dataset: the size of the camera, metres by the dataparser's default factor."""
    import cv2

    text = (place / "nerfstudio/data/dataparsers/nerfstudio_dataparser.py").read_text()
    factor = float(text.split("depth_unit_scale_factor: float = ")[1].split()[0])
    height, width = cv2.imread(str(file), cv2.IMREAD_UNCHANGED).shape
    reader = module(place / "nerfstudio/data/utils/data_utils.py").get_depth_image_from_path
    read = reader(filepath=file, height=height, width=width, scale_factor=factor)
    return {"depth": read.numpy()[:, :, 0], "scale": factor}


def iw3(place: Path, file: Path) -> dict[str, Any]:
    """FILE is iw3_export.yml, and each image of rgb/ needs its depth of the same name."""
    sys.path.insert(0, str(place))
    sys.modules.update({name: MagicMock() for name in _OF_MODELS})
    from iw3.base_depth_model import BaseDepthModel
    from iw3.export_config import ExportConfig

    config = ExportConfig.load(str(file))
    rgb, depth, _ = config.resolve_paths(str(file.parent))
    names = sorted(path.name for path in Path(rgb).iterdir())
    values, _ = BaseDepthModel.load_depth(str(Path(depth) / names[0]))
    said = json.dumps(config.to_dict(), default=str)  # a rate is a fraction
    return {"depth": values.numpy()[0], "names": names, "config": said}


def open3d(place: Path, file: Path) -> dict[str, Any]:
    """FILE is the depth; NAME.open3d.json beside it gives the arguments."""
    import open3d as o3d

    assert place.resolve() in Path(o3d.__file__).resolve().parents, o3d.__file__

    said = json.loads(file.with_suffix(".open3d.json").read_text())
    depth = o3d.io.read_image(str(file))
    height, width = np.asarray(depth).shape
    color = o3d.geometry.Image(np.zeros((height, width, 3), np.uint8))
    limits = {key: said[key] for key in ("depth_scale", "depth_trunc")}
    image = o3d.geometry.RGBDImage.create_from_color_and_depth(color, depth, **limits)
    camera = o3d.camera.PinholeCameraIntrinsic()
    camera.width, camera.height = said["width"], said["height"]
    camera.intrinsic_matrix = np.reshape(said["intrinsic_matrix"], (3, 3)).T
    points = o3d.geometry.PointCloud.create_from_rgbd_image(image, camera)
    return {"depth": np.asarray(image.depth), "points": np.asarray(points.points)}


def main() -> None:
    name, place, file, out = sys.argv[1:]
    sys.path.pop(0)  # the folder of this file
    np.savez(out, **globals()[name](Path(place), Path(file)))


if __name__ == "__main__":
    main()
