"""Runs `inference` of a checkout of Depth Anything 3, for tests. Imports nothing of ours.

python upstream_da3_inference.py CHECKOUT FOLDER MODEL

FOLDER/cases.json   [{"name", "images": files, "cameras": name or "", "options": of `inference`}],
                    cameras in cameras.npz: NAME-extrinsics, NAME-intrinsics
FOLDER/model        becomes config.json and model.safetensors, as `save_pretrained` writes them
FOLDER/found.npz    becomes every field of every prediction, "CASE-depth", ..., and as
                    "CASE-network-depth" ... what there is before given cameras are put in. A case
                    whose alignment raises has only these, and "CASE-raised".

MODEL is upstream's name, or one of upstream_da3_views.py.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch
from upstream_da3 import stub_what_is_missing, use
from upstream_da3_views import REDUCED, made

FIELDS = ("depth", "conf", "sky", "extrinsics", "intrinsics", "processed_images")
OTHERS = ("is_metric", "scale_factor")
GAUSSIANS = ("means", "scales", "rotations", "harmonics", "opacities")


def api_of(name: str, folder: Path) -> Any:
    from depth_anything_3.api import DepthAnything3

    network = made(name, folder)
    api: Any = DepthAnything3(model_name="da3-small").eval()
    api.model = network

    def in_float32(self: Any, image: Any, *rest: Any) -> Any:
        with torch.no_grad():
            return self.model(image, *rest)

    api.forward = types.MethodType(in_float32, api)
    return api


def fields_of(prediction: Any) -> dict[str, Any]:
    arrays = {name: getattr(prediction, name) for name in FIELDS}
    found = {name: np.array(value) for name, value in arrays.items() if value is not None}
    if prediction.gaussians is not None:
        found.update(
            {f"gs-{name}": getattr(prediction.gaussians, name).numpy() for name in GAUSSIANS}
        )
    for name in OTHERS:
        value = getattr(prediction, name)
        if isinstance(value, (int, float)):  # else an empty dict of addict
            found[name] = np.array(value)
    return {**found, **{name: np.array(value) for name, value in prediction.aux.items()}}


def predicted(api: Any, case: dict[str, Any], cameras: Any, folder: Path) -> dict[str, Any]:
    before: dict[str, Any] = {}
    align = type(api)._align_to_input_extrinsics_intrinsics

    def kept(self: Any, placed: Any, lens: Any, prediction: Any, *rest: Any) -> Any:
        before.update({f"network-{n}": v for n, v in fields_of(prediction).items()})
        return align(self, placed, lens, prediction, *rest)

    api._align_to_input_extrinsics_intrinsics = types.MethodType(kept, api)
    given = [cameras[f"{case['cameras']}-{n}"] for n in ("extrinsics", "intrinsics")]
    paths = [str(folder / name) for name in case["images"]]
    torch.manual_seed(0)
    try:
        found = api.inference(paths, *(given if case["posed"] else ()), **case["options"])
    except Exception as error:  # evo's own
        if "rank" not in str(error):
            raise
        return {**before, "raised": np.array(1)}
    return {**before, **fields_of(found)}


def main() -> None:
    checkout, folder, name = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    stub_what_is_missing()
    use(Path(checkout))
    found = {}
    with contextlib.redirect_stdout(io.StringIO()), torch.no_grad():  # upstream logs to stdout
        (folder / "model").mkdir()
        api = api_of(name, folder / "model")
        if name == REDUCED:
            (folder / "model" / "config.json").write_text('{"model_name": "da3nested-giant-large"}')
        with np.load(folder / "cameras.npz") as cameras:
            for case in json.loads((folder / "cases.json").read_text()):
                for field, value in predicted(api, case, cameras, folder).items():
                    found[f"{case['name']}-{field}"] = value
    np.savez(folder / "found.npz", **found)


if __name__ == "__main__":
    main()
