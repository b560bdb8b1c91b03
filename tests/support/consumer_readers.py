"""Run in a process of its own: a file of a preset, read by the code of the tool that it is for.

    python consumer_readers.py READER PLACE FILE OUT.npz

PLACE is a checkout of the tool, or a folder of checkouts by their names. Of `open3d` it is the
folder that Open3D and its numpy are installed in, and PYTHONPATH names it. OUT holds what the
reader gives.
"""

from __future__ import annotations

import array
import ast
import contextlib
import functools
import importlib
import importlib.util
import json
import os
import runpy
import subprocess
import sys
import types
from collections.abc import Mapping, Sequence
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
    return {"depth": values.numpy()[0], "names": names, "config": json.dumps(config.to_dict())}


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


def pieces(path: Path, names: Sequence[str], around: Mapping[str, Any]) -> dict[str, Any]:
    """Classes and functions of a file, at any depth, without what the file imports.

    around  what they find in the place of the imports
    """
    found = [
        node
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name in names
    ]
    assert {node.name for node in found} == set(names), path
    made = dict(around)
    exec(compile(ast.Module(found, []), str(path), "exec"), made)  # noqa: S102
    return made


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


def comfyui(place: Path, file: Path) -> dict[str, Any]:
    """The file as an IMAGE: what the node SaveImage stores of it."""
    import torch
    from PIL import Image

    image, folders = torch.from_numpy(np.load(file)), MagicMock()
    folders.get_save_image_path.return_value = (str(file.parent), "saved", 1, "", "")
    around = {"folder_paths": folders, "np": np, "os": os, "Image": Image}
    around["args"] = MagicMock(disable_metadata=True)
    node = pieces(place / "ComfyUI/nodes.py", ["SaveImage"], around)["SaveImage"]()
    node.save_images(image)
    return {"saved": np.asarray(Image.open(file.parent / "saved_00001_.png"))}


def comfyui_depth(place: Path, file: Path) -> dict[str, Any]:
    """FILE has what a network gives, [1,H,W]: the IMAGE of ComfyUI-DepthAnythingV2 for it.

    A metric model, if the name of FILE says so.
    """
    import torch
    from torchvision import transforms

    # In float64, of which the node makes a copy: it cannot change in place what it expanded.
    depth, network = torch.from_numpy(np.load(file)).double(), MagicMock()
    network.return_value = depth
    around = {"torch": torch, "F": torch.nn.functional, "transforms": transforms}
    around |= {"mm": MagicMock(), "ProgressBar": MagicMock(), "nullcontext": contextlib.nullcontext}
    around["mm"].get_torch_device.return_value = "cpu"
    path = place / "ComfyUI-DepthAnythingV2/nodes.py"
    node = pieces(path, ["DepthAnything_V2"], around)["DepthAnything_V2"]()
    asked = {"model": network, "dtype": torch.float32, "is_metric": file.stem == "metric"}
    return {"image": node.process(asked, torch.zeros(*depth.shape, 3))[0].numpy()}


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


def sp3d(place: Path, file: Path) -> dict[str, Any]:
    """Its contract: the keys of its own stub's answer, and its range of values."""
    folder = place / "SimplePicture3D/python"
    image = file.with_suffix(".png")
    command = [sys.executable, "-m", "python.depth_estimator", "--input", str(image)]
    surroundings = {**os.environ, "SP3D_USE_STUB": "1"}
    done = subprocess.run(command, cwd=folder, capture_output=True, check=True, env=surroundings)
    own, ours = json.loads(done.stdout), json.loads(file.read_text())
    kept = module(folder / "python/depth_estimator.py").clamp_depth_to_01(ours["depth"])
    shape = ours["height"], ours["width"]
    return {"keys": sorted(own), "size": [own["height"], own["width"]], "shape": shape} | {
        "depth": np.reshape(kept, shape),
        "count": len(own["depth"]),
    }


def blender(place: Path, file: Path) -> dict[str, Any]:
    """The image as Blender's Python module has it, in a Python of its own."""
    out = file.with_suffix(".raw.npz")
    program = (
        "import sys, bpy, numpy as np\n"
        "image = bpy.data.images.load(sys.argv[1])\n"
        "image.colorspace_settings.name = 'Non-Color'\n"
        "columns, rows = image.size\n"
        "pixels = np.array(image.pixels[:], np.float32).reshape(rows, columns, -1)\n"
        "np.savez(sys.argv[2], pixels=pixels, float=image.is_float, channels=image.channels)\n"
    )
    python = place / "blender/bin/python"
    subprocess.run([python, "-c", program, file, out], capture_output=True, check=True)
    with np.load(out) as found:
        return dict(found)


def main() -> None:
    name, place, file, out = sys.argv[1:]
    sys.path.pop(0)  # the folder of this file
    np.savez(out, **globals()[name](Path(place), Path(file)))


if __name__ == "__main__":
    main()
