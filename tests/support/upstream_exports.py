"""Runs the exporters of a checkout of Depth Anything 3 alone. Imports nothing of ours.

python upstream_exports.py CHECKOUT SCENE.npz FOLDER

SCENE.npz has depth, conf, extrinsics, intrinsics and images, under these names.
"""

from __future__ import annotations

import sys
import types
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

_NAMES = ("depth_anything_3", "depth_anything_3.utils", "depth_anything_3.utils.export")


def main(checkout: Path, scene: Path, folder: Path) -> None:
    for name in _NAMES:  # without running their __init__, which loads everything
        package: Any = types.ModuleType(name)
        package.__path__ = [str(checkout / "src" / name.replace(".", "/"))]
        sys.modules[name] = package
    stub("depth_anything_3.specs", Prediction=object)
    stub("depth_anything_3.utils.logger", logger=types.SimpleNamespace(info=lambda _text: None))
    stub("depth_anything_3.utils.parallel_utils", async_call=lambda function: function)
    stub("torch", Tensor=object)
    stub("einops", rearrange=None)
    with np.load(scene) as file:
        arrays = dict(file)
    arrays["processed_images"] = arrays.pop("images")
    prediction = types.SimpleNamespace(**arrays)
    exports = {name: import_module(f"{_NAMES[-1]}.{name}") for name in ("npz", "glb")}
    exports["npz"].export_to_npz(prediction, str(folder))
    exports["npz"].export_to_mini_npz(prediction, str(folder))
    exports["glb"].export_to_glb(prediction, str(folder))  # makes depth_vis too


def stub(name: str, **values: Any) -> None:
    module = types.ModuleType(name)
    vars(module).update(values)
    sys.modules[name] = module


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
