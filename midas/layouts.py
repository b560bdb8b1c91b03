"""Renames published parameters of MiDaS to ours.

upstream      isl-org/MiDaS
transformers  Hugging Face's DPTForDepthEstimation, of DPT-Large and DPT-Hybrid
ours          the network's own state dict
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from depth.network.layouts import (
    OURS,
    Layout,
    Rule,
    dpt_rules,
    load,
    renamed,
    transformers_dpt_rules,
    transformers_vit_rules,
    vit_rules,
)
from midas.config import CONFIGS

_EXPECTED = (
    "MiDaS checkpoint: pretrained.* and scratch.*, or dpt.* and neck.*, or encoder.* and decoder.*"
)
_STANDARD_EPS = 1e-8  # of the variance of a convolution's weights

# Names between theirs and ours: see `to_ours`.
_READOUT, _WHOLE, _RAW = "encoder.readout.", ".both.", "raw"

# The decoder and the head, of every model.
SCRATCH_RULES: tuple[Rule, ...] = (
    *dpt_rules("", {}),
    (r"scratch\.output_conv\.0\.(.*)", r"decoder.reduce.\1"),
    (r"scratch\.output_conv\.2\.(.*)", r"decoder.heads.depth.conv1.\1"),
    (r"scratch\.output_conv\.4\.(.*)", r"decoder.heads.depth.conv2.\1"),
)

# Where upstream puts the stages of its EfficientNet.
_STAGES = ("layer1.3", "layer1.4", "layer2.0", "layer3.0", "layer3.1", "layer4.0", "layer4.1")


def _small_rules() -> list[Rule]:
    rules: list[Rule] = [
        (r".*\.num_batches_tracked", None),  # training only
        (r"pretrained\.layer1\.0\.(.*)", r"encoder.stem.convolution.\1"),
        (r"pretrained\.layer1\.1\.(.*)", r"encoder.stem.norm.\1"),
    ]
    for stage, theirs in enumerate(_STAGES):
        names = ("expand", "depthwise", "project") if stage else ("depthwise", "project")
        convolutions = ("conv_pw", "conv_dw", "conv_pwl") if stage else ("conv_dw", "conv_pw")
        place = "pretrained." + theirs
        place = place.replace(".", r"\.") + r"\.(\d)\."
        for i, (name, convolution) in enumerate(zip(names, convolutions), start=1):
            ours = rf"encoder.stages.{stage}.\1.{name}"
            rules += [
                (place + convolution + r"\.(.*)", ours + r".convolution.\2"),
                (place + rf"bn{i}\.(.*)", ours + r".norm.\2"),
            ]
    return rules


def _dpt_rules() -> list[Rule]:
    model, backbone = r"pretrained\.model\.", r"pretrained\.model\.patch_embed\.backbone\."
    rules: list[Rule] = [
        (model + r"(?:norm|head)\..*", None),  # of the classifier, never called
        *_resnet_rules(backbone + r"stem\.conv", backbone + r"stem\.norm", backbone, "blocks"),
        *vit_rules("pretrained.model."),
    ]
    for ours in range(4):  # they count from 1
        place = rf"pretrained\.act_postprocess{ours + 1}\."
        rules += [
            (place + r"0\.project\.0\.(.*)", rf"{_READOUT}{ours}{_WHOLE}\1"),
            (place + r"3\.(.*)", rf"decoder.pyramid.project.{ours}.\1"),
            (place + r"4\.(.*)", rf"decoder.pyramid.resize.{ours}.\1"),
        ]
    return rules


def _resnet_rules(convolution: str, norm: str, place: str, blocks: str) -> list[Rule]:
    ours = "encoder.backbone."
    rules: list[Rule] = [
        (convolution + r"\.weight", rf"{ours}stem.convolution.{_RAW}"),
        (norm + r"\.(.*)", rf"{ours}stem.norm.\1"),
    ]
    names = {"narrow": "1", "convolve": "2", "widen": "3"}
    block = place + rf"stages\.(\d)\.{blocks}\.(\d)\."
    for name, number in names.items():
        here = rf"{ours}stages.\1.\2.{name}."
        rules += [
            (block + rf"conv{number}\.weight", rf"{here}convolution.{_RAW}"),
            (block + rf"norm{number}\.(.*)", rf"{here}norm.\3"),
        ]
    shortcut = rf"{ours}stages.\1.\2.shortcut."
    return [
        *rules,
        (block + r"downsample\.conv\.weight", rf"{shortcut}convolution.{_RAW}"),
        (block + r"downsample\.norm\.(.*)", rf"{shortcut}norm.\3"),
    ]


def _transformers_rules() -> list[Rule]:
    embeddings, layer = r"dpt\.embeddings\.", r"dpt\.encoder\.layer\.(\d+)\."
    bit, block = embeddings + r"backbone\.bit\.", r"encoder.blocks.\1."
    readouts = r"neck\.reassemble_stage\.readout_projects\.(\d)\.0\.(.*)"
    return [
        (r"dpt\.layernorm\..*", None),  # never called
        *_resnet_rules(
            bit + r"embedder\.convolution",
            bit + r"embedder\.norm",
            bit + r"encoder\.",
            "layers",
        ),
        (embeddings + r"projection\.(.*)", r"encoder.patch_embed.\1"),
        *transformers_vit_rules("dpt."),
        (layer + r"layernorm_before\.(.*)", block + r"norm1.\2"),
        (layer + r"layernorm_after\.(.*)", block + r"norm2.\2"),
        (layer + r"intermediate\.dense\.(.*)", block + r"mlp.fc1.\2"),
        (layer + r"output\.dense\.(.*)", block + r"mlp.fc2.\2"),
        (readouts, rf"{_READOUT}\1{_WHOLE}\2"),
        *transformers_dpt_rules(("head.head.0", "head.head.2", "head.head.4")),
    ]


UPSTREAM = Layout(
    "upstream",
    frozenset({"pretrained", "scratch"}),
    (*_small_rules(), *_dpt_rules(), *SCRATCH_RULES),
)
TRANSFORMERS = Layout("transformers", frozenset({"dpt", "neck"}), tuple(_transformers_rules()))
LAYOUTS = (UPSTREAM, TRANSFORMERS, OURS)


def to_ours(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A published state dict under our names.

    Weights of the ResNet are standardised, and each readout is cut into its two halves. All other
    tensors are shared, not copied. Raises CheckpointError if the layout is unknown, a key has no
    rule, or a tensor is not dense floating-point.
    """
    ours: dict[str, Tensor] = {}
    for name, value in renamed(state, LAYOUTS, _EXPECTED).items():
        stem, whole, kind = name.partition(_WHOLE)
        if whole and kind == "weight" and value.ndim == 2:
            half = value.shape[1] // 2
            ours[f"{stem}.patches.weight"] = value[:, :half]
            ours[f"{stem}.class_token.weight"] = value[:, half:]
        elif whole:
            ours[f"{stem}.patches.{kind}"] = value
        elif name.endswith(f".{_RAW}") and value.ndim == 4 and value.numel():
            ours[name[: -len(_RAW)] + "weight"] = standardised(value)
        else:
            ours[name] = value
    return ours


def standardised(weight: Tensor) -> Tensor:
    """Each output channel's weights with mean 0 and deviation 1.

    Qiao et al., "Micro-Batch Training with Batch-Channel Normalization and Weight
    Standardization", 2019.
    """
    rows = weight.double().reshape(len(weight), -1)
    deviation = (rows.var(dim=1, unbiased=False, keepdim=True) + _STANDARD_EPS).sqrt()
    rows = (rows - rows.mean(dim=1, keepdim=True)) / deviation
    return rows.to(weight.dtype).reshape(weight.shape)


def load_weights(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Load a state dict of any known layout into a network, all keys or none.

    Raises CheckpointError that names the keys that do not fit.
    """
    load(network, to_ours(state), source, CONFIGS)
