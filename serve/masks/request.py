"""What a job of masks is asked to do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Optional, cast

from depth.errors import InputError
from depth.masks.layouts import layout_named
from depth.masks.region import Shaping
from depth.masks.rules import DepthRules
from serve.masks.depths import DepthSource
from serve.masks.network import InstanceNetwork


@dataclass(frozen=True)
class MaskJob:
    """The options of a job.

    layout    one of depth/masks/layouts.py
    rules     what the stored depth says to leave out
    depth     the depth of the images, which rules need
    network   what finds instances
    upright   lay masks as the upright image, not as the file stores its pixels
    preview   also write a picture with the masked parts tinted, and index.html
    replace   write over masks that no job of ours wrote
    dry_run   only report what the job would do

    Raises InputError for an unknown layout, rules without depth or depth without rules, or nothing
    to mask.
    """

    images: Path
    output: Path
    layout: str = "colmap"
    rules: DepthRules = field(default_factory=DepthRules)
    shaping: Shaping = field(default_factory=Shaping)
    depth: Optional[DepthSource] = None
    network: Optional[InstanceNetwork] = None
    upright: bool = False
    preview: bool = True
    replace: bool = False
    fail_fast: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        layout_named(self.layout)
        if not self.rules.any and self.network is None:
            raise InputError(
                "nothing to mask: give --artifact, or --depth with --near, --far, --nearest, "
                "--farthest, --sky or --min-confidence"
            )
        if self.rules.any and self.depth is None:
            raise InputError(
                "--near, --far, --nearest, --farthest, --sky and --min-confidence need --depth: "
                "the output folder of an earlier `python main.py inference`; or --depth-artifact"
            )

        if self.depth is not None and not self.rules.any:
            raise InputError(
                "--depth and --depth-artifact: nothing is masked by depth; give --near, --far, "
                "--nearest, --farthest, --sky or --min-confidence too, or leave them out"
            )

    def settings(self, depth_key: str) -> Mapping[str, Any]:
        """Everything that a mask depends on besides the image's bytes, as JSON has it."""
        network: Optional[dict[str, Any]] = None
        if self.network is not None:
            network = {
                "artifact": self.network.identity,
                "classes": sorted(self.network.classes),
                "confidence": self.network.step.confidence,
            }
        made = {
            "layout": self.layout,
            "upright": self.upright,
            "rules": asdict(self.rules),
            "shaping": asdict(self.shaping),
            "depth": depth_key,
            "network": network,
        }
        return cast(Mapping[str, Any], json.loads(json.dumps(made)))
