"""Published parameter names meet ours: one rename table per layout, every key accounted for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Optional

import torch
from torch import Tensor, nn

from depth.errors import CheckpointError
from depth.family import NATIVE_GRID
from depth_anything_v2.config import CONFIGS

# (pattern, our name), first match wins. None: never used at inference, dropped on purpose.
# <n> counts stages from 1; <-n> counts them from the coarsest; "#i" is part i of a stacked tensor.
Rule = tuple[str, Optional[str]]

UPSTREAM: list[Rule] = [
    (r"pretrained\.mask_token", None),  # training only
    (r"pretrained\.patch_embed\.proj\.(.*)", r"encoder.patch_embed.\1"),
    (r"pretrained\.blocks\.(\d+)\.ls([12])\.gamma", r"encoder.blocks.\1.scale\2"),
    (r"pretrained\.(.*)", r"encoder.\1"),
    (r"depth_head\.projects\.(.*)", r"decoder.project.\1"),
    (r"depth_head\.resize_layers\.(.*)", r"decoder.resize.\1"),
    (r"depth_head\.scratch\.layer(\d)_rn\.(.*)", r"decoder.adapt.<\1>.\2"),
    (r"depth_head\.scratch\.refinenet4\.resConfUnit1\..*", None),  # never called: no skip input
    (r"depth_head\.scratch\.refinenet(\d)\.resConfUnit1\.(.*)", r"decoder.fuse<\1>.skip_unit.\2"),
    (r"depth_head\.scratch\.refinenet(\d)\.resConfUnit2\.(.*)", r"decoder.fuse<\1>.unit.\2"),
    (r"depth_head\.scratch\.refinenet(\d)\.out_conv\.(.*)", r"decoder.fuse<\1>.project.\2"),
    (r"depth_head\.scratch\.output_conv1\.(.*)", r"decoder.head1.\1"),
    (r"depth_head\.scratch\.output_conv2\.0\.(.*)", r"decoder.head2.\1"),
    (r"depth_head\.scratch\.output_conv2\.2\.(.*)", r"decoder.head3.\1"),
]

_LAYER = r"backbone\.encoder\.layer\.(\d+)\."
TRANSFORMERS: list[Rule] = [
    (r"backbone\.embeddings\.mask_token", None),  # training only
    (r"backbone\.embeddings\.cls_token", r"encoder.cls_token"),
    (r"backbone\.embeddings\.position_embeddings", r"encoder.pos_embed"),
    (r"backbone\.embeddings\.patch_embeddings\.projection\.(.*)", r"encoder.patch_embed.\1"),
    (_LAYER + r"attention\.attention\.query\.(.*)", r"encoder.blocks.\1.attn.qkv.\2#0"),
    (_LAYER + r"attention\.attention\.key\.(.*)", r"encoder.blocks.\1.attn.qkv.\2#1"),
    (_LAYER + r"attention\.attention\.value\.(.*)", r"encoder.blocks.\1.attn.qkv.\2#2"),
    (_LAYER + r"attention\.output\.dense\.(.*)", r"encoder.blocks.\1.attn.proj.\2"),
    (_LAYER + r"layer_scale([12])\.lambda1", r"encoder.blocks.\1.scale\2"),
    (_LAYER + r"mlp\.weights_in\.(.*)", r"encoder.blocks.\1.mlp.w12.\2"),
    (_LAYER + r"mlp\.weights_out\.(.*)", r"encoder.blocks.\1.mlp.w3.\2"),
    (_LAYER + r"(norm[12]|mlp\.fc[12])\.(.*)", r"encoder.blocks.\1.\2.\3"),
    (r"backbone\.layernorm\.(.*)", r"encoder.norm.\1"),
    (r"neck\.reassemble_stage\.layers\.(\d)\.projection\.(.*)", r"decoder.project.\1.\2"),
    (r"neck\.reassemble_stage\.layers\.(\d)\.resize\.(.*)", r"decoder.resize.\1.\2"),
    (r"neck\.convs\.(\d)\.(.*)", r"decoder.adapt.\1.\2"),
    (r"neck\.fusion_stage\.layers\.0\.residual_layer1\..*", None),  # never called: no skip input
    (
        r"neck\.fusion_stage\.layers\.(\d)\.residual_layer1\.convolution(\d)\.(.*)",
        r"decoder.fuse<-\1>.skip_unit.conv\2.\3",
    ),
    (
        r"neck\.fusion_stage\.layers\.(\d)\.residual_layer2\.convolution(\d)\.(.*)",
        r"decoder.fuse<-\1>.unit.conv\2.\3",
    ),
    (r"neck\.fusion_stage\.layers\.(\d)\.projection\.(.*)", r"decoder.fuse<-\1>.project.\2"),
    (r"head\.conv([123])\.(.*)", r"decoder.head\1.\2"),
]

OURS: list[Rule] = [(r"((?:encoder|decoder)\..*)", r"\1")]

LAYOUTS: dict[str, list[Rule]] = {
    "upstream": UPSTREAM,
    "transformers": TRANSFORMERS,
    "ours": OURS,
}


def to_ours(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A published state dict under our names; tensors are shared, not copied.

    Raises CheckpointError if the layout is unknown, a key has no rule, or a tensor is no plain one
    of floating-point numbers.
    """
    rules = LAYOUTS[_layout(state)]
    renamed: dict[str, Tensor] = {}
    unknown = []
    for key, value in state.items():
        try:
            name = _rename(key, rules)
        except KeyError:
            unknown.append(key)
            continue
        if name is not None:
            _check_plain(key, value)
            renamed[name] = value
    if unknown:
        raise CheckpointError(f"unknown keys in the checkpoint: {_some(unknown)}")
    return _stack(renamed)


def load_weights(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Load a state dict of any known layout into a network, all keys or none.

    Raises CheckpointError that names the keys that do not fit and the size the file looks like.
    The caller fixes the network's size again afterwards.
    """
    ours = to_ours(state)
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in ours.items()}
    problems = [f"missing {name}" for name in wanted if name not in found]
    problems += [f"unexpected {name}" for name in found if name not in wanted]
    problems += [
        f"{name} is {found[name]}, expected {shape}"
        for name, shape in wanted.items()
        if name in found and found[name] != shape
    ]
    if problems:
        looks = identify(ours)
        hint = f"; the file looks like {looks!r}" if looks else ""
        raise CheckpointError(f"{source} does not fit this network{hint}: {_some(problems)}")
    network.load_state_dict(ours)


def identify(ours: Mapping[str, Tensor]) -> Optional[str]:
    """Name of the size that a state dict under our names looks like, or None."""
    embedding = ours.get("encoder.pos_embed")
    if embedding is None or embedding.ndim != 3 or embedding.shape[1] != 1 + NATIVE_GRID**2:
        return None
    blocks = {name.split(".")[2] for name in ours if name.startswith("encoder.blocks.")}
    for config in CONFIGS.values():
        if (config.embed_dim, config.depth) == (embedding.shape[2], len(blocks)):
            return config.name
    return None


def _layout(state: Mapping[str, Tensor]) -> str:
    tops = {key.split(".")[0] for key in state}
    for layout, marks in (
        ("upstream", {"pretrained", "depth_head"}),
        ("transformers", {"backbone", "neck"}),
        ("ours", {"encoder", "decoder"}),
    ):
        if marks <= tops:
            return layout
    raise CheckpointError(
        f"not a Depth Anything checkpoint: keys start with {_some(sorted(tops))}; expected "
        "pretrained.* and depth_head.*, or backbone.* and neck.*, or encoder.* and decoder.*"
    )


def _rename(key: str, rules: Sequence[Rule]) -> Optional[str]:
    for pattern, target in rules:
        if re.fullmatch(pattern, key):
            if target is None:
                return None
            name = re.sub(pattern, target, key)
            name = re.sub(r"<-(\d)>", lambda m: str(3 - int(m.group(1))), name)
            return re.sub(r"<(\d)>", lambda m: str(int(m.group(1)) - 1), name)
    raise KeyError(key)


def _check_plain(key: str, value: Tensor) -> None:
    plain = value.layout == torch.strided and not value.is_meta and not value.is_quantized
    if not (plain and value.is_floating_point()):
        kind = " on the meta device" if value.is_meta else ""
        raise CheckpointError(
            f"{key} is {value.dtype}, {value.layout}{kind}; expected dense floating-point numbers"
        )


def _stack(renamed: dict[str, Tensor]) -> dict[str, Tensor]:
    """Join parts `name#0`, `#1`, `#2` into `name`.

    A set that is incomplete, or of different shapes, keeps its part names: they fit no network.
    """
    stems = {name.split("#")[0] for name in renamed if "#" in name}
    whole = dict(renamed)
    for stem in stems:
        parts = [f"{stem}#{i}" for i in range(3)]
        shapes = {renamed[part].shape for part in parts if part in renamed}
        if all(part in renamed for part in parts) and len(shapes) == 1 and shapes != {()}:
            whole[stem] = torch.cat([whole.pop(part) for part in parts])
    return whole


def _some(items: Sequence[str], limit: int = 6) -> str:
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + more
