"""Runs the decoder of Gaussians of a checkout of Depth Anything 3, and what makes Gaussians of its
numbers, for tests. Imports nothing of ours.

python upstream_da3_gaussians.py CHECKOUT FOLDER

FOLDER/inputs.npz   images [V,3,H,W], features [V,h*w,4*D] side by side; depth [V,H,W], extrinsics
                    [V,3,4], intrinsics [V,3,3]; given [V,4,4]: other cameras; numbers, opacities
FOLDER/gs_head.safetensors  becomes the decoder's seeded weights
FOLDER/found.npz    becomes raw, opacity of the decoder; and of the given numbers NAME-means ...,
                    where NAME is "own", or "given" with the other cameras
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from upstream_da3 import stub_what_is_missing, use
from upstream_da3_views import seed_weights

WIDTHS = (32, (8, 8, 16, 16))  # of the decoder, and of its stages
MAPS = 4
PARTS = ("means", "scales", "rotations", "harmonics", "opacities")


def main() -> None:
    checkout, folder = sys.argv[1], Path(sys.argv[2])
    stub_what_is_missing()
    use(Path(checkout))
    with np.load(folder / "inputs.npz") as file, torch.no_grad():
        given = {name: torch.from_numpy(file[name])[None] for name in file.files}
        found = {**decoded(given, folder), **adapted(given, "own"), **adapted(given, "given")}
    np.savez(folder / "found.npz", **found)


def decoded(given: dict[str, Any], folder: Path) -> dict[str, Any]:
    from depth_anything_3.model.gsdpt import GSDPT

    features = given["features"].chunk(MAPS, dim=-1)
    head: Any = GSDPT(
        features[0].shape[-1], output_dim=38, features=WIDTHS[0], out_channels=WIDTHS[1]
    )
    seed_weights(head)
    state = {f"model.gs_head.{name}": v.contiguous() for name, v in head.state_dict().items()}
    save_file(state, folder / "gs_head.safetensors")
    size = given["images"].shape[-2:]
    pairs = [(part, part[:, :, 0]) for part in features]
    found = head(pairs, *size, patch_start_idx=0, images=given["images"])
    return {"raw": found.raw_gs[0].numpy(), "opacity": found.raw_gs_conf[0].numpy()}


def adapted(given: dict[str, Any], name: str) -> dict[str, Any]:
    from depth_anything_3.model.gs_adapter import GaussianAdapter
    from depth_anything_3.utils.geometry import as_homogeneous, map_pdf_to_opacity

    adapter: Any = GaussianAdapter(2, pred_offset_depth=True)
    found = adapter(
        extrinsics=as_homogeneous(given["extrinsics"]),
        intrinsics=given["intrinsics"],
        depths=given["depth"],
        opacities=map_pdf_to_opacity(given["opacities"]),
        raw_gaussians=given["numbers"],
        image_shape=tuple(given["depth"].shape[-2:]),
        gt_extrinsics=given["given"] if name == "given" else None,
    )
    return {f"{name}-{part}": getattr(found, part)[0].numpy() for part in PARTS}


if __name__ == "__main__":
    main()
