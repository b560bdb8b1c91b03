"""Readers of depth in metres: Open3D, ROS, the benchmark tools of TUM and KITTI's devkit."""

from __future__ import annotations

import array
import functools
import importlib
import json
import sys
import types
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np

from tests.support.readers.loading import module, pieces


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


def ros(place: Path, file: Path) -> dict[str, Any]:
    """FILE is the camera's YAML: the CameraInfo of it, and the image as a message and back."""
    import cv2
    import yaml

    messages = MagicMock()
    messages.msg.CameraInfo = types.SimpleNamespace
    messages.msg.Image = lambda: types.SimpleNamespace(data=array.array("B"), is_bigendian=0)
    boost = types.SimpleNamespace(  # compiled: OpenCV's numbers of types
        CV_MAT_CNWrap=lambda kind: (kind >> 3) + 1, CV_MAT_DEPTHWrap=lambda kind: kind & 7
    )
    boost.getCvType = lambda encoding: getattr(cv2, f"CV_{encoding}")
    names = ("rospy", "rospkg", "sensor_msgs.srv", "cv_bridge", "cv_bridge.boost")
    sys.modules.update({name: MagicMock() for name in names})
    sys.modules.update({"sensor_msgs": messages, "sensor_msgs.msg": messages.msg})
    sys.modules["cv_bridge.boost.cv_bridge_boost"] = boost  # type: ignore[assignment]
    # PyYAML before 6 needs no loader.
    yaml.load = functools.partial(yaml.load, Loader=yaml.SafeLoader)
    manager = place / "camera_info_manager_py/src/camera_info_manager/camera_info_manager.py"
    info = module(manager).loadCalibrationFile(str(file), "depth")
    bridge = module(place / "vision_opencv/cv_bridge/python/cv_bridge/core.py").CvBridge()
    image = cv2.imread(str(file.with_suffix(".tiff")), cv2.IMREAD_UNCHANGED)
    message = bridge.cv2_to_imgmsg(image, encoding="32FC1")
    back = bridge.imgmsg_to_cv2(message, "passthrough")
    said = {key: getattr(info, key) for key in ("width", "height", "K", "P", "R", "D")}
    model = {"model": info.distortion_model, "encoding": message.encoding}
    return {**said, **model, "depth": back, "size": [message.height, message.width]}


def tum(place: Path, file: Path) -> dict[str, Any]:
    """FILE is depth.txt; rgb.txt beside it names images. The points of the first pair."""
    from PIL import Image

    checkout, opened = place / "TUM_rgbd_benchmark_tools", Image.open
    lists = module(checkout / "associate.py")
    rgb, depth = (lists.read_file_list(file.with_name(name)) for name in ("rgb.txt", file.name))
    pairs = lists.associate(rgb, depth, 0.0, 0.02)
    first, second = pairs[0]
    # Pillow 11.3 opens a 16-bit PNG in another mode than the Pillow that the tool is for.
    Image.open = lambda path: _as_integers(opened(path))
    names = [str(file.parent / found[0]) for found in (rgb[first], depth[second])]
    out = str(file.with_name("points.ply"))
    module(checkout / "generate_pointcloud.py").generate_pointcloud(*names, out)
    lines = Path(out).read_text().split("end_header\n")[1].splitlines()
    points = [list(map(float, line.split()[:3])) for line in lines if line]
    return {"points": points, "pairs": pairs, "files": [names[1]]}


def _as_integers(image: Any) -> Any:
    return image.convert("I") if image.mode == "I;16" else image


def kitti(place: Path, file: Path) -> dict[str, Any]:
    """The devkit's depth_read; `np.float` is the name of float in numpy before 1.24."""
    np.float = float  # type: ignore[attr-defined]
    around = {"np": np, "Image": importlib.import_module("PIL.Image")}
    path = place / "kitti/read_depth.py"
    return {"depth": pieces(path, ["depth_read"], around)["depth_read"](str(file))}
