"""Runs a checkout of Depth Anything 3, for tests/depth_anything_3. Imports nothing of ours.

python upstream_da3.py CHECKOUT imports | inputs FOLDER METHOD RES | network FOLDER MODEL
                                | inference FOLDER MODEL RES
"""

from __future__ import annotations

import contextlib
import io
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

_STUBS = ("moviepy", "moviepy.editor", "gsplat", "pycolmap")  # not needed here


def stub_what_is_missing() -> None:
    for name in _STUBS:
        try:
            __import__(name)
        except ImportError:
            stub: Any = types.ModuleType(name)
            stub.rasterization = None  # gsplat: imported by name
            sys.modules[name] = stub


def seed_weights(network: torch.nn.Module, sky_bias: float) -> None:
    """Every parameter from one generator, in order of its name: the same on any torch version."""
    rng = np.random.default_rng(0)
    for name, parameter in sorted(network.named_parameters()):
        noise = rng.standard_normal(tuple(parameter.shape), dtype=np.float32)
        if name.endswith(("pos_embed", "cls_token")):
            values = 0.1 * noise
        elif noise.ndim >= 2:
            values = noise * np.float32(np.prod(noise.shape[1:])) ** np.float32(-0.5)
        elif name.endswith("gamma"):
            values = 0.3 + 0.1 * noise
        else:
            centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            values = centre + 0.05 * noise
        if name.endswith("sky_output_conv2.2.bias"):
            values = values + sky_bias
        parameter.data.copy_(torch.from_numpy(values.astype(np.float32)))


def made(name: str, folder: Path, sky_bias: float) -> Any:
    from depth_anything_3.api import DepthAnything3

    with contextlib.redirect_stdout(io.StringIO()):  # upstream logs to stdout
        model = DepthAnything3(model_name=name).eval()
    seed_weights(model, sky_bias)
    state = {key: value.contiguous() for key, value in model.state_dict().items()}
    save_file(state, folder / "weights.safetensors")
    return model


def inputs(folder: Path, method: str, process_res: str) -> None:
    from depth_anything_3.utils.io.input_processor import InputProcessor

    process = InputProcessor()
    with np.load(folder / "images.npz") as images:
        found = [
            process([images[name]], None, None, int(process_res), method)[0].numpy()
            for name in images.files
        ]
    np.savez(folder / "inputs.npz", *found)


def network(folder: Path, name: str) -> None:
    model = made(name, folder, sky_bias=0.5)
    net: Any = model.model
    maps = {}
    with np.load(folder / "inputs.npz") as images, torch.no_grad():
        for size in images.files:
            image = torch.from_numpy(images[size])[None]  # [1,1,3,H,W]
            features, _ = net.backbone(image, cam_token=None, export_feat_layers=[])
            found = net._process_depth_head(features, *image.shape[-2:])
            for output in ("depth", "sky"):
                maps[f"{size}-{output}"] = found[output][0].numpy()
    np.savez(folder / "maps.npz", **maps)


def inference(folder: Path, name: str, process_res: str) -> None:
    model = made(name, folder, sky_bias=0.3)

    def in_float32(self: Any, image: Any, *rest: Any) -> Any:
        with torch.no_grad():
            return self.model(image, *rest)

    model.forward = types.MethodType(in_float32, model)
    with np.load(folder / "images.npz") as images:
        found = model.inference([images[n] for n in images.files], process_res=int(process_res))
    np.savez(
        folder / "prediction.npz",
        depth=found.depth,
        sky=found.sky,
        processed_images=found.processed_images,
    )


def use(checkout: Path) -> None:
    """Take `depth_anything_3` from the checkout: it is no regular package there, so that one of the
    same name anywhere on the path would hide it.
    """
    source = checkout / "src" / "depth_anything_3"
    package = types.ModuleType("depth_anything_3")
    package.__path__ = [str(source)]
    sys.modules["depth_anything_3"] = package
    sys.path.insert(0, str(source.parent))


def main() -> None:
    checkout, task, *arguments = sys.argv[1:]
    stub_what_is_missing()
    use(Path(checkout))
    import depth_anything_3.api

    found = Path(depth_anything_3.api.__file__ or "").resolve()
    if Path(checkout).resolve() not in found.parents:
        raise ImportError(f"{found} is not of the checkout {checkout}")
    if task == "imports":
        sys.stdout.write(depth_anything_3.api.__file__ + "\n")
        return
    tasks = {"inputs": inputs, "network": network, "inference": inference}
    tasks[task](Path(arguments[0]), *arguments[1:])


if __name__ == "__main__":
    main()
