"""Upstream's Python API on our network: `from midas.dpt_depth import DPTDepthModel`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Optional

from torch import nn

from depth.errors import InputError
from midas.base_model import BaseModel
from midas.config import DPT_SIZE, HALF, HYBRID, LARGE, model_row
from midas.dpt import MidasDpt

BACKBONES = {"vitl16_384": LARGE, "vitb_rn50_384": HYBRID}


class DPTDepthModel(BaseModel):
    """Drop-in for the class of the same name in isl-org/MiDaS: DPT-Large and DPT-Hybrid.

    path          a checkpoint to load
    non_negative  False leaves out the last ReLU
    backbone      `vitl16_384` or `vitb_rn50_384`; those of MiDaS 3.1 (BEiT, Swin, LeViT, Next-ViT)
                  are refused
    features      channels of the decoder

    `readout` other than "project" and `use_bn` fit no published checkpoint and are refused;
    `channels_last` changes no number upstream and none here. Raises InputError for arguments that
    fit no network, CheckpointError as `load` does.
    """

    def __init__(
        self,
        path: Optional[str] = None,
        non_negative: bool = True,
        backbone: str = "vitb_rn50_384",
        features: int = 256,
        readout: str = "project",
        channels_last: bool = False,  # noqa: ARG002 - upstream's name
        use_bn: bool = False,
        **others: Any,
    ) -> None:
        if backbone not in BACKBONES:
            raise InputError(
                f"backbone {backbone!r}: this toolkit has {' and '.join(BACKBONES)}. Run models of "
                "MiDaS 3.1 with upstream's code, or take Depth Anything V2: "
                "`from depth_anything_v2.dpt import DepthAnythingV2`"
            )
        refused = {"readout": readout != "project", "use_bn": use_bn, **dict.fromkeys(others, True)}
        if any(refused.values()):
            names = ", ".join(name for name, wrong in refused.items() if wrong)
            raise InputError(f"{names}: no published checkpoint has this; leave it out")
        config = replace(BACKBONES[backbone], decoder_dim=features)
        model = model_row(config, DPT_SIZE, HALF)
        super().__init__(MidasDpt(model, nn.ReLU() if non_negative else nn.Identity()), path)
