"""Renames published parameters of MiDaS to ours.

upstream  isl-org/MiDaS
ours      the network's own state dict
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from depth.network.base import Network
from depth.network.layouts import OURS, Layout, Rule, dpt_rules, load, renamed

_EXPECTED = "MiDaS checkpoint: pretrained.* and scratch.*, or encoder.* and decoder.*"

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


UPSTREAM_SMALL = Layout(
    "upstream", frozenset({"pretrained", "scratch"}), (*_small_rules(), *SCRATCH_RULES)
)

LAYOUTS = (UPSTREAM_SMALL, OURS)


def load_weights(network: Network, state: Mapping[str, Tensor], source: str) -> None:
    """Load a state dict of any known layout into a network, all keys or none.

    Raises CheckpointError that names the keys that do not fit.
    """
    load(network, renamed(state, LAYOUTS, _EXPECTED), source, {})
