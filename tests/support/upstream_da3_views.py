"""Runs a checkout of Depth Anything 3 on scenes, for tests. Imports nothing of ours.

python upstream_da3_views.py CHECKOUT FOLDER MODEL

FOLDER/cases.json   [{"name", "images", "posed", "strategy"}], images and cameras in inputs.npz
FOLDER/model        becomes config.json and model.safetensors, as `save_pretrained` writes them
FOLDER/found.npz    becomes every output of every case: "CASE-depth", ...

MODEL is upstream's name, or "rays": the cameras of `ray` and `ray_conf` in inputs.npz, or
"reduced-nested": the nested model of a giant network of 8 blocks and a metric network of 4, whose
file has the weights of Gaussians as well.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_model
from upstream_da3 import stub_what_is_missing, use

REDUCED = "reduced-nested"
_TOKENS = ("pos_embed", "cls_token", "camera_token")


def seed_weights(network: torch.nn.Module) -> None:
    """Every parameter from one generator, in order of its name; angles of view near 1 radian."""
    rng = np.random.default_rng(0)
    for name, parameter in sorted(network.named_parameters()):
        noise = rng.standard_normal(tuple(parameter.shape), dtype=np.float32)
        if name.endswith(_TOKENS):
            noise *= np.float32(0.3)
        elif noise.ndim >= 2:
            share = 0.05 if ".fc_fov." in name else 1.0
            noise *= np.float32(share * np.prod(noise.shape[1:]) ** -0.5)
        elif name.endswith("gamma"):
            noise = np.float32(0.3) + np.float32(0.1) * noise
        else:
            centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            if name.endswith(("fc_fov.0.bias", "output_conv2_aux.0.2.weight")):
                centre = 1.0
            if name.endswith("sky_output_conv2.2.bias"):
                centre = 0.3
            noise = np.float32(centre) + np.float32(0.05) * noise
        parameter.data.copy_(torch.from_numpy(noise))


def made(name: str, folder: Path) -> Any:
    from depth_anything_3.api import DepthAnything3

    if name == REDUCED:
        model = reduced()
        seed_weights(model)
        holder = torch.nn.Module()
        holder.model = model
        save_model(holder, str(folder / "model.safetensors"))
        return model
    api = DepthAnything3(model_name=name).eval()
    seed_weights(api)
    api.save_pretrained(folder)
    return api.model


def reduced() -> Any:
    from depth_anything_3.cfg import create_object, load_config
    from depth_anything_3.model.dinov2 import dinov2
    from depth_anything_3.registry import MODEL_REGISTRY

    real: Any = dinov2  # its functions have no types
    real.vit_giant2 = partial(real.vit_giant2, depth=8)
    real.vit_large = partial(real.vit_large, depth=4)
    config: Any = load_config(MODEL_REGISTRY["da3nested-giant-large"])
    net = config.anyview.net
    net.out_layers, net.alt_start, net.qknorm_start, net.rope_start = [4, 5, 6, 7], 3, 3, 3
    config.metric.net.out_layers = [0, 1, 2, 3]
    return create_object(config).eval()


def main() -> None:
    checkout, folder, name = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    stub_what_is_missing()
    use(Path(checkout))
    with contextlib.redirect_stdout(io.StringIO()), torch.no_grad():  # upstream logs to stdout
        if name == "rays":
            np.savez(folder / "found.npz", **cameras_of_rays(folder))
            return
        (folder / "model").mkdir()
        network = made(name, folder / "model")
        np.savez(folder / "found.npz", **outputs(network, folder))


def outputs(network: Any, folder: Path) -> dict[str, Any]:
    from depth_anything_3.api import DepthAnything3
    from depth_anything_3.model.dinov2 import vision_transformer

    any_view = getattr(network, "da3", network)
    found: dict[str, Any] = {}
    case: dict[str, Any] = {}
    choose: Any = vision_transformer.select_reference_view

    def rays(_module: Any, _arguments: Any, given: Any) -> None:  # which `forward` throws away
        for output in ("ray", "ray_conf"):
            found[f"{case['name']}-{output}"] = given[output][0].numpy()

    def chosen(tokens: Any, strategy: str) -> Any:
        reference = choose(tokens, strategy=strategy)
        found[f"{case['name']}-reference"] = reference.numpy()
        return reference

    any_view.head.register_forward_hook(rays)
    vision_transformer.select_reference_view = chosen  # type: ignore[assignment]
    with np.load(folder / "inputs.npz") as inputs:
        for case in json.loads((folder / "cases.json").read_text()):
            images = torch.from_numpy(inputs[case["images"]])[None]
            placed = lens = None
            if case["posed"]:
                lens = torch.from_numpy(inputs[case["posed"] + "-intrinsics"])[None]
                placed = torch.from_numpy(inputs[case["posed"] + "-extrinsics"])[None]
                placed = DepthAnything3._normalize_extrinsics(None, placed)  # type: ignore[arg-type]
            given = network(images, placed, lens, [], False, False, case["strategy"])
            for output in ("depth", "depth_conf", "extrinsics", "intrinsics"):
                found[f"{case['name']}-{output}"] = given[output][0].numpy()
            if "scale_factor" in given:
                found[f"{case['name']}-scale"] = np.float64(given.scale_factor)
    return found


def cameras_of_rays(folder: Path) -> dict[str, Any]:
    from addict import Dict

    from depth_anything_3.model.da3 import DepthAnything3Net

    with np.load(folder / "inputs.npz") as inputs:
        height, width = inputs["size"]
        given = Dict({name: torch.from_numpy(inputs[name])[None] for name in ("ray", "ray_conf")})
    pose: Any = DepthAnything3Net._process_ray_pose_estimation
    found = pose(None, given, int(height), int(width))
    return {name: found[name][0].numpy() for name in ("extrinsics", "intrinsics")}


if __name__ == "__main__":
    main()
