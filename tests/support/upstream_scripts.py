"""Upstream's scripts run_video.py and depth_to_pointcloud.py, with recorders for their writers.

    python tests/support/upstream_scripts.py CHECKOUT video|points OPTIONS OF THE SCRIPT

Makes the weights that the script reads, from a fixed seed. Writes frames.npy of a video before it
is encoded, or points.npz, here.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

WEIGHTS = {"video": "checkpoints/depth_anything_v2_vits.pth", "points": "metric.pth"}


def module(name: str, **names: Any) -> None:
    """A stand-in for a package."""
    made = ModuleType(name)
    vars(made).update(names)
    sys.modules[name] = made


def make_weights(kind: str) -> None:
    """Depth varies over the image with them, and stays off the ReLU's zero."""
    import torch

    from depth_anything_v2.dpt import DepthAnythingV2

    torch.manual_seed(0)
    more = {"max_depth": 20.0} if kind == "points" else {}
    model = DepthAnythingV2("vits", 64, [48, 96, 192, 384], **more)
    for name, parameter in model.named_parameters():
        if name.endswith("gamma"):
            parameter.data.fill_(0.2)
        elif parameter.ndim == 1:
            parameter.data.add_(0.05 * torch.randn(parameter.shape))
        if "output_conv2.2" in name and kind == "video":
            parameter.data.mul_(3).add_(0.3)
    path = Path(WEIGHTS[kind])
    path.parent.mkdir(exist_ok=True)
    torch.save(model.state_dict(), path)


def record(kind: str) -> list[Any]:
    """Frames of cv2's writer, or the clouds of open3d's."""
    found: list[Any] = []
    if kind == "video":
        import cv2

        module("matplotlib", colormaps=SimpleNamespace(get_cmap=lambda _name: None))
        cv2.VideoWriter = lambda *_: SimpleNamespace(  # type: ignore[assignment,misc]
            write=found.append, release=lambda: None
        )
    else:
        module(
            "open3d",
            geometry=SimpleNamespace(PointCloud=SimpleNamespace),
            utility=SimpleNamespace(Vector3dVector=lambda values: values),
            io=SimpleNamespace(write_point_cloud=lambda _path, cloud: found.append(cloud)),
        )
    return found


def main(checkout: Path, kind: str, options: list[str]) -> None:
    import numpy as np

    folder = checkout / "metric_depth" if kind == "points" else checkout
    script = folder / ("depth_to_pointcloud.py" if kind == "points" else "run_video.py")
    module("depth_anything_v2", __path__=[str(folder / "depth_anything_v2")])
    make_weights(kind)
    found = record(kind)
    sys.argv = [str(script), *options]
    runpy.run_path(str(script), run_name="__main__")
    if kind == "video":
        np.save("frames.npy", np.stack(found))
    else:
        np.savez("points.npz", points=found[0].points, colours=found[0].colors * 255)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
