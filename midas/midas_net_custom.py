"""Upstream's Python API on our network: `from midas.midas_net_custom import MidasNet_small`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from depth.errors import InputError
from midas.base_model import BaseModel
from midas.config import SMALL_MODEL
from midas.small import MidasSmall

_BLOCKS: Mapping[str, Any] = {"expand": True}


class MidasNet_small(BaseModel):  # noqa: N801 - upstream's name
    """Drop-in for the class of the same name in isl-org/MiDaS: MiDaS v2.1 small.

    path  a checkpoint to load. Without it the weights are random: upstream downloads those of a
          classifier then, and this class downloads nothing

    The other arguments have upstream's names. Values that fit no published checkpoint are refused
    with InputError. Raises CheckpointError as `load` does.
    """

    def __init__(
        self,
        path: Optional[str] = None,
        features: int = 64,
        backbone: str = "efficientnet_lite3",
        non_negative: bool = True,
        exportable: bool = True,  # noqa: ARG002 - of upstream's encoder; the numbers are the same
        channels_last: bool = False,  # noqa: ARG002
        align_corners: bool = True,
        blocks: Mapping[str, Any] = _BLOCKS,
    ) -> None:
        expected = {
            "features": (features, 64),
            "backbone": (backbone, "efficientnet_lite3"),
            "non_negative": (non_negative, True),
            "align_corners": (align_corners, True),
            "blocks": (dict(blocks), dict(_BLOCKS)),
        }
        for name, (given, only) in expected.items():
            if given != only:
                raise InputError(
                    f"{name}={given!r}: the published checkpoint has {name}={only!r}; leave it out"
                )
        super().__init__(MidasSmall(SMALL_MODEL), path)
