"""Renames published parameters to the names of depth/network.

A layout is a table of rules. A key of a state dict that no rule matches is refused.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

import torch
from torch import Tensor, nn

from depth.errors import CheckpointError
from depth.network.position import NATIVE_GRID

logger = logging.getLogger(__name__)

# (pattern of a whole key, our name with \1 for groups); the first match wins. None: not used at
# inference, so the key is dropped. "name#i" is part i of the three that are stacked into `name`.
Rule = tuple[str, Optional[str]]

_PARTS = 3
OWN_PREFIX = "network."  # of our names in the state dicts of drop-in classes


@dataclass(frozen=True)
class Layout:
    """How one publisher names the parameters."""

    name: str
    marks: frozenset[str]  # first parts of keys; a file of this layout has them all
    rules: tuple[Rule, ...]


def vit_rules(prefix: str) -> list[Rule]:
    """The encoder under the names of DINOv2's authors, after `prefix`."""
    p = re.escape(prefix)
    return [
        (p + r"mask_token", None),  # training only
        (p + r"(cls_token|pos_embed)", r"encoder.position.\1"),
        (p + r"patch_embed\.proj\.(.*)", r"encoder.patch_embed.\1"),
        (p + r"blocks\.(\d+)\.ls([12])\.gamma", r"encoder.blocks.\1.scale\2.gamma"),
        (p + r"(.*)", r"encoder.\1"),
    ]


def dpt_rules(prefix: str, heads: Mapping[str, str]) -> list[Rule]:
    """The decoder under the names of Depth Anything's authors, after `prefix`.

    heads  by our name of a head, theirs: {"depth": "output_conv2"}
    """
    p = re.escape(prefix)
    scratch = p + r"scratch\."
    rules: list[Rule] = [
        (p + r"projects\.(.*)", r"decoder.pyramid.project.\1"),
        (p + r"resize_layers\.(.*)", r"decoder.pyramid.resize.\1"),
        # Never called: the coarsest stage has no skip input.
        (scratch + r"refinenet4\.resConfUnit1\..*", None),
    ]
    for ours in range(4):  # they count from 1
        theirs, fuse = ours + 1, f"decoder.merge.fuse{ours}"
        rules += [
            (scratch + rf"layer{theirs}_rn\.(.*)", rf"decoder.pyramid.adapt.{ours}.\1"),
            (scratch + rf"refinenet{theirs}\.resConfUnit1\.(.*)", rf"{fuse}.skip_unit.\1"),
            (scratch + rf"refinenet{theirs}\.resConfUnit2\.(.*)", rf"{fuse}.unit.\1"),
            (scratch + rf"refinenet{theirs}\.out_conv\.(.*)", rf"{fuse}.project.\1"),
        ]
    rules.append((scratch + r"output_conv1\.(.*)", r"decoder.reduce.\1"))
    for ours_name, theirs_name in heads.items():
        head = scratch + re.escape(theirs_name)
        rules += [
            (head + r"\.0\.(.*)", rf"decoder.heads.{ours_name}.conv1.\1"),
            (head + r"\.2\.(.*)", rf"decoder.heads.{ours_name}.conv2.\1"),
        ]
    return rules


def transformers_vit_rules(prefix: str) -> list[Rule]:
    """The encoder under the names of transformers, after `prefix`, less norms and MLPs."""
    p = re.escape(prefix)
    embeddings, attention = p + r"embeddings\.", p + r"encoder\.layer\.(\d+)\.attention\."
    block = r"encoder.blocks.\1.attn."
    return [
        (embeddings + r"cls_token", r"encoder.position.cls_token"),
        (embeddings + r"position_embeddings", r"encoder.position.pos_embed"),
        (embeddings + r"patch_embeddings\.projection\.(.*)", r"encoder.patch_embed.\1"),
        (attention + r"attention\.query\.(.*)", block + r"qkv.\2#0"),
        (attention + r"attention\.key\.(.*)", block + r"qkv.\2#1"),
        (attention + r"attention\.value\.(.*)", block + r"qkv.\2#2"),
        (attention + r"output\.dense\.(.*)", block + r"proj.\2"),
    ]


def transformers_dpt_rules(head: Sequence[str]) -> list[Rule]:
    """The decoder under the names of transformers, which counts fusions from the coarsest.

    head  names of the three convolutions at its end
    """
    stages = r"neck\.reassemble_stage\.layers\.(\d)\."
    layers = r"neck\.fusion_stage\.layers"
    ours = ("reduce", "heads.depth.conv1", "heads.depth.conv2")
    rules: list[Rule] = [
        (stages + r"projection\.(.*)", r"decoder.pyramid.project.\1.\2"),
        (stages + r"resize\.(.*)", r"decoder.pyramid.resize.\1.\2"),
        (r"neck\.convs\.(\d)\.(.*)", r"decoder.pyramid.adapt.\1.\2"),
        (layers + r"\.0\.residual_layer1\..*", None),  # never called: no skip
        *((rf"{re.escape(name)}\.(.*)", rf"decoder.{own}.\1") for name, own in zip(head, ours)),
    ]
    for theirs in range(4):
        layer, fuse = rf"{layers}\.{theirs}\.", f"decoder.merge.fuse{3 - theirs}"
        rules += [
            (layer + r"residual_layer1\.convolution(\d)\.(.*)", rf"{fuse}.skip_unit.conv\1.\2"),
            (layer + r"residual_layer2\.convolution(\d)\.(.*)", rf"{fuse}.unit.conv\1.\2"),
            (layer + r"projection\.(.*)", rf"{fuse}.project.\1"),
        ]
    return rules


# Our own names; all keys start with one of the two words.
OURS = Layout("ours", frozenset({"encoder", "decoder"}), ((r"((?:encoder|decoder)\..*)", r"\1"),))


def renamed(
    state: Mapping[str, Tensor], layouts: Sequence[Layout], expected: str
) -> dict[str, Tensor]:
    """A published state dict under our names; tensors are shared, not copied.

    A prefix that all keys have in front of a layout's names is taken off, and the log says so.

    expected  for the refusal of any other file: "Depth Anything checkpoint: pretrained.* and ..."
    Raises CheckpointError if the layout is unknown, a key has no rule, or a tensor is not dense
    floating-point.
    """
    layout, prefix = _layout(state, layouts, expected)
    if prefix not in ("", OWN_PREFIX):
        logger.warning("the names of all weights begin with %r, which is taken off", prefix)
    found: dict[str, Tensor] = {}
    unknown = []
    for key, value in state.items():
        bare = key[len(prefix) :]
        matches = ((re.fullmatch(pattern, bare), target) for pattern, target in layout.rules)
        match, target = next((pair for pair in matches if pair[0]), (None, None))
        if match is None:
            unknown.append(key)
        elif target is not None:
            _check_plain(key, value)
            found[match.expand(target)] = value
    if unknown:
        raise CheckpointError(f"unknown keys in the checkpoint: {some(unknown)}")
    return _stacked(found)


def load(
    network: nn.Module,
    ours: Mapping[str, Tensor],
    source: str,
    configs: Mapping[str, Any],
) -> None:
    """Load a state dict under our names into a network, all keys or none.

    configs  of each model, by name: a refusal names the model that the file looks like
    Raises CheckpointError that names the keys that do not fit.
    """
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
        looks = _identified(ours, configs)
        hint = f"; the file looks like {looks!r}" if looks else ""
        raise CheckpointError(f"{source} does not fit this network{hint}: {some(problems)}")
    network.load_state_dict(dict(ours))


def _identified(ours: Mapping[str, Tensor], configs: Mapping[str, Any]) -> Optional[str]:
    embedding = ours.get("encoder.position.pos_embed")
    if embedding is None or embedding.ndim != 3:
        return None
    blocks = {name.split(".")[2] for name in ours if name.startswith("encoder.blocks.")}
    found = embedding.shape[2], len(blocks), embedding.shape[1]
    dimensions = {
        name: (c.embed_dim, c.depth, 1 + getattr(c, "native_grid", NATIVE_GRID) ** 2)
        for name, c in configs.items()
    }
    return next((name for name, own in dimensions.items() if own == found), None)


def some(items: Sequence[str], limit: int = 3) -> str:
    """The first few items, and the number of the others."""
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + more


def _layout(
    state: Mapping[str, Tensor], layouts: Sequence[Layout], expected: str
) -> tuple[Layout, str]:
    """The layout of the keys, and the prefix that all keys have in front of its names."""
    parts = [key.split(".") for key in state]
    common = os.path.commonprefix([key[:-1] for key in parts])  # of lists: whole parts
    for length in range(len(common) + 1):
        tops = {key[length] for key in parts}
        for layout in layouts:
            if layout.marks <= tops:
                return layout, "".join(f"{part}." for part in common[:length])
    tops = {key[0] for key in parts}
    what, _, names = expected.partition(": ")
    raise CheckpointError(f"not a {what}: keys start with {some(sorted(tops))}; expected {names}")


def _check_plain(key: str, value: Tensor) -> None:
    plain = value.layout == torch.strided and not value.is_meta and not value.is_quantized
    if not (plain and value.is_floating_point()):
        kind = " on the meta device" if value.is_meta else ""
        raise CheckpointError(
            f"{key} is {value.dtype}, {value.layout}{kind}; expected dense floating-point numbers"
        )


def _stacked(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Join parts `name#0`, `#1`, `#2` into `name`.

    An incomplete set, or parts of different shapes, keep their part names, which fit no network.
    """
    stems = {name.split("#")[0] for name in found if "#" in name}
    whole = dict(found)
    for stem in stems:
        parts = [f"{stem}#{i}" for i in range(_PARTS)]
        shapes = {found[part].shape for part in parts if part in found}
        if all(part in found for part in parts) and len(shapes) == 1 and shapes != {()}:
            whole[stem] = torch.cat([whole.pop(part) for part in parts])
    return whole
