"""What upstream's own code computes, in a process of its own: both packages have one name.

    python tests/support/upstream_v2.py CHECKOUT OUT [metric]

Writes OUT/state.pth, weights from a fixed seed, and OUT/arrays.npz.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

SIZES = [(60, 90), (90, 60), (33, 200), (518, 700), (1, 1), (7, 3)]  # (height, width) px
ASKED = [(56, 56), (518, 518), (70, 42)]  # width, height
METHODS = ("lower_bound", "upper_bound", "minimal")


def load(package: Path) -> Any:
    """The checkout's package, which has no __init__.py, and whatever else is on the path."""
    made = types.ModuleType("depth_anything_v2")
    made.__path__ = [str(package)]
    sys.modules["depth_anything_v2"] = made
    found = importlib.import_module("depth_anything_v2.dpt")
    if package.resolve() not in Path(str(found.__file__)).resolve().parents:
        sys.exit(f"{found.__file__} was imported, which is not upstream's")
    return found


def main(checkout: Path, out: Path, metric: bool) -> None:
    import numpy as np
    import torch

    package = checkout / "metric_depth" / "depth_anything_v2" if metric else checkout
    dpt = load(package if metric else checkout / "depth_anything_v2")
    torch.manual_seed(0)
    more = {"max_depth": 80.0} if metric else {}
    model = dpt.DepthAnythingV2("vits", 64, [48, 96, 192, 384], **more).eval()
    for name, parameter in model.named_parameters():
        if name.endswith("gamma"):
            parameter.data.fill_(0.2)
        elif parameter.ndim == 1 or "mask_token" in name:
            parameter.data.add_(0.05 * torch.randn(parameter.shape))
    torch.save(model.state_dict(), out / "state.pth")
    arrays = answers(model)
    transforms(arrays)
    np.savez(out / "arrays.npz", **arrays, names=[*model.state_dict()])
    np.save(out / "parameters.npy", [name for name, _ in model.named_parameters()])


def answers(model: Any) -> dict[str, Any]:
    """What a model, its encoder and its head give for fixed images; of either side's package."""
    import torch

    image = torch.rand(2, 3, 56, 70, generator=torch.Generator().manual_seed(1))
    found: dict[str, Any] = {}
    with torch.no_grad():
        found["depth"] = model(image)
        taken = model.pretrained.get_intermediate_layers(image, [2, 5, 8, 11], True, True, False)
        for number, (part, token) in enumerate(taken):
            found[f"map{number}"], found[f"token{number}"] = part, token
        (found["last"],) = model.pretrained.get_intermediate_layers(image)
        found["class"] = model.pretrained(image)
        found["patches"] = model.pretrained.patch_embed(image)
        features = model.pretrained.get_intermediate_layers(
            image, model.intermediate_layer_idx["vits"], return_class_token=True
        )
        found["head"] = model.depth_head(features, 4, 5)
        found["fused"] = fused()
    return found


def fused() -> Any:
    """Two maps through a block of fusion with fixed weights; of either side's package."""
    import torch

    from depth_anything_v2.util.blocks import FeatureFusionBlock

    block = FeatureFusionBlock(8, torch.nn.ReLU(False), align_corners=True)
    seeded = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for _, parameter in sorted(block.named_parameters()):
            parameter.copy_(torch.randn(parameter.shape, generator=seeded) * 0.2)
        maps = [torch.randn(1, 8, 5, 6, generator=seeded) for _ in range(2)]
        return torch.cat([block(*maps, size=(9, 11)), block(*maps, size=(9, 11)) * 2])


def transforms(arrays: dict[str, Any]) -> None:
    """Samples through the three transforms, at every size and method; of either side's package."""
    import cv2
    import numpy as np

    from depth_anything_v2.util.transform import NormalizeImage, PrepareForNet, Resize

    rng = np.random.default_rng(0)
    normalise = NormalizeImage([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    for height, width in SIZES:
        given = rng.random((height, width, 3))
        depth, mask = rng.random((height, width)), rng.random((height, width)) > 0.5
        for across, down in ASKED:
            for method in METHODS:
                for keep in (True, False):
                    resize = Resize(
                        across, down, True, keep, 14, method, cv2.INTER_CUBIC
                    )  # fmt: skip
                    key = f"{height}x{width}-{across}x{down}-{method}-{keep}"
                    size = tuple(map(int, resize.get_size(width, height)))
                    arrays[f"size-{key}"] = size
                    if min(size) < 1 or max(size) > 900:
                        continue
                    sample = {"image": given, "depth": depth, "mask": mask}
                    for step in (resize, normalise, PrepareForNet()):
                        sample = step(sample)
                    for name, values in sample.items():
                        arrays[f"{name}-{key}"] = values[..., ::7, ::5]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), "metric" in sys.argv[3:])
