"""Run in a process of its own, with upstream's packages in front of ours of the same name.

    python upstream_midas.py CHECKOUT[:MORE...] OUT network MODEL SEED HEIGHTxWIDTH...
    python upstream_midas.py CHECKOUT[:MORE...] OUT transform TRANSFORM IMAGE.npy...

The first folder is a checkout of isl-org/MiDaS. The others go on the path: a checkout of
rwightman/gen-efficientnet-pytorch, and a folder with timm 0.6.12.

network    writes OUT/weights.pt with drawn weights, and OUT/HEIGHTxWIDTH.npz with images and depth
transform  writes OUT/IMAGE.npy, what the transform makes of pixels [H,W,3] RGB
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

BACKBONES = {"dpt-large": "vitl16_384", "dpt-hybrid": "vitb_rn50_384"}


def main() -> None:
    places, out, what, name, *rest = sys.argv[1:]
    # Upstream's package has no __init__.py, so that ours would win from any place on the path.
    ours = ("midas/__init__.py", "midas.py")
    kept = (path for path in sys.path if path and not any(Path(path, n).exists() for n in ours))
    sys.path[:] = [*places.split(os.pathsep), *kept]
    folder = Path(out)
    if what == "network":
        seed, *sizes = rest
        network(name, int(seed), sizes, folder)
    else:
        transform(name, [Path(path) for path in rest], folder)


def built(name: str) -> Any:
    if name != "midas-small":
        from midas.dpt_depth import DPTDepthModel

        return DPTDepthModel(path=None, backbone=BACKBONES[name], non_negative=True)
    import geffnet

    from midas.midas_net_custom import MidasNet_small

    # It loads a repository from the network: here the checkout on the path.
    torch.hub.load = lambda _, model, **options: getattr(geffnet, model)(
        **{**options, "pretrained": False}
    )
    return MidasNet_small(None, blocks={"expand": True})


def network(name: str, seed: int, sizes: list[str], out: Path) -> None:
    torch.manual_seed(seed)
    model = built(name).eval()
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            if key.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif key.endswith(("running_mean", "bias")):
                tensor.normal_(0, 0.1)
        model.scratch.output_conv[4].bias.fill_(2.0)  # little of the picture is cut to zero
        torch.save(model.state_dict(), out / "weights.pt")
        for size in sizes:
            height, width = (int(part) for part in size.split("x"))
            images = torch.randn(1, 3, height, width)
            np.savez(out / f"{size}.npz", images=images.numpy(), depth=model(images).numpy())


def transform(name: str, images: list[Path], out: Path) -> None:
    import hubconf

    hubconf.transforms()
    from midas import transforms

    for path in images:
        made = getattr(transforms, name)(np.load(path))
        np.save(out / path.name, made[0].numpy())


main()
