"""Readers of depth for pictures: MiDaS, iw3, ComfyUI, SimplePicture3D and Blender."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np

from tests.support.readers.loading import module, pieces

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


def midas(place: Path, file: Path) -> dict[str, Any]:
    data, scale = module(place / "utils.py").read_pfm(str(file))
    return {"depth": data, "scale": scale}


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
