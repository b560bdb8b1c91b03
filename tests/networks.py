"""Networks, weights and artifacts for the tests: small where they can be, real where they must."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import torch
from torch import Tensor

from compile.build.build import build
from compile.build.request import Request
from compile.untrained import untrained_checkpoint
from depth.artifact.manifest import Artifact, Manifest, dump_manifest, read_artifact
from depth.files import sha256_file
from depth_anything_v2.config import MODELS, Model, ModelConfig
from depth_anything_v2.network import DepthAnything

ROOT = Path(__file__).resolve().parents[1]
DEMO = MODELS["demo"]
SIZE = (56, 70)  # (height, width) px: not square, and built in a second

TINY = ModelConfig("tiny", 24, 4, 2, (0, 1, 2, 3), 8, (6, 12, 24, 24))
TINY_GIANT = replace(TINY, name="tiny giant", swiglu=True)
TINY_MODEL = Model("tiny", TINY, max_depth_m=20.0)

# Our names and upstream's, written again by hand: what weights.py is compared with.
_UPSTREAM_STEMS = [
    ("encoder.patch_embed.", "pretrained.patch_embed.proj."),
    ("encoder.", "pretrained."),
    *((f"decoder.project.{i}.", f"depth_head.projects.{i}.") for i in range(4)),
    *((f"decoder.resize.{i}.", f"depth_head.resize_layers.{i}.") for i in (0, 1, 3)),
    *((f"decoder.adapt.{i}.", f"depth_head.scratch.layer{i + 1}_rn.") for i in range(4)),
    *(
        (f"decoder.fuse{i}.{ours}.", f"depth_head.scratch.refinenet{i + 1}.{theirs}.")
        for i in range(4)
        for ours, theirs in (
            ("skip_unit", "resConfUnit1"),
            ("unit", "resConfUnit2"),
            ("project", "out_conv"),
        )
    ),
    ("decoder.head1.", "depth_head.scratch.output_conv1."),
    ("decoder.head2.", "depth_head.scratch.output_conv2.0."),
    ("decoder.head3.", "depth_head.scratch.output_conv2.2."),
]


def weights(config: ModelConfig, max_depth_m: Optional[float] = None) -> dict[str, Tensor]:
    """Fixed-seed weights under our names; depth varies over the image with them."""
    return untrained_checkpoint(Model(config.name, config, max_depth_m)).state


def network(
    config: ModelConfig, size: tuple[int, int] = SIZE, max_depth_m: Optional[float] = None
) -> DepthAnything:
    """A network with those weights, in eval mode."""
    made = DepthAnything(config, max_depth_m)
    made.load_state_dict(weights(config, max_depth_m))
    made.fix_size(*size)
    return made.eval().requires_grad_(False)


def to_upstream(ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights under upstream's names, with the tensors that upstream saves unused."""
    state = {_upstream_name(name): tensor for name, tensor in ours.items()}
    state["pretrained.mask_token"] = torch.zeros(1, ours["encoder.cls_token"].shape[-1])
    for conv in ("conv1", "conv2"):
        for kind in ("weight", "bias"):
            used = state[f"depth_head.scratch.refinenet4.resConfUnit2.{conv}.{kind}"]
            unused = f"depth_head.scratch.refinenet4.resConfUnit1.{conv}.{kind}"
            state[unused] = torch.zeros_like(used)
    return state


def _upstream_name(ours: str) -> str:
    for stem, theirs in _UPSTREAM_STEMS:
        if ours.startswith(stem):
            name = theirs + ours[len(stem) :]
            return name.replace(".scale1", ".ls1.gamma").replace(".scale2", ".ls2.gamma")
    raise KeyError(ours)


def build_demo(out: Path, target: str = "openvino", **changes: Any) -> Artifact:
    """An artifact of the demo network at one small size."""
    request = Request(DEMO, untrained_checkpoint(DEMO), target, "fp32", [SIZE])
    return read_artifact(build(replace(request, **changes), out))


def rewrite(artifact: Artifact, **changes: Any) -> Artifact:
    """Write an artifact's manifest again with other fields, its files as they are now."""
    manifest = replace(artifact.manifest, **changes)
    programs = tuple(
        replace(program, files=tuple(_described(artifact.folder, f) for f in program.files))
        for program in manifest.programs
    )
    changed: Manifest = replace(manifest, programs=programs)
    (artifact.folder / "manifest.json").write_bytes(dump_manifest(changed))
    return read_artifact(artifact.folder)


def _described(folder: Path, file: Any) -> Any:
    path = folder / file.path
    return replace(file, sha256=sha256_file(path), size_bytes=path.stat().st_size)


def request(**changes: object) -> Request:
    """For one small torchscript program of the tiny metric model, with what is different."""
    made = Request(TINY_MODEL, untrained_checkpoint(TINY_MODEL), "torchscript", "fp32", [SIZE])
    return replace(made, **changes)  # type: ignore[arg-type]
