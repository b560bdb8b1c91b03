"""Folders of images with stored depth, and the command that masks them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from depth.family import RELATIVE_INVERSE
from depth.files import sha256_file
from depth.maps.files import write_result
from depth.maps.result import Map
from depth_anything.cli import main
from serve.masks.report import REPORT
from tests.support.commands import Ended, ended
from tests.support.depth_samples import ramp, result
from tests.support.hostile import encoded, picture

H, W = 60, 80


def masks_(*arguments: object) -> Ended:
    return ended(lambda: main("main.py"), "main.py", "masks", *arguments)


def photos(folder: Path, names: tuple[str, ...] = ("a/b.jpg", "c.png")) -> Path:
    for seed, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = "PNG" if name.endswith("png") else "JPEG"
        path.write_bytes(encoded(picture(H, W, seed), kind))
    return folder


def depth_for(folder: Path, images: Path, kind: str = RELATIVE_INVERSE, **maps: Map) -> Path:
    """Stored depth of every image: a ramp that falls from 9 to 1 downwards."""
    for path in sorted(p for p in images.rglob("*") if p.is_file()):
        values = np.ascontiguousarray(ramp(12, 16, 1, 9)[::-1])
        found = result(values, kind)
        found = replace(found, maps={**found.maps, **maps})
        stem = folder / path.relative_to(images).with_suffix("")
        source = {"sha256": sha256_file(path), "width_px": W, "height_px": H}
        write_result(found, stem, ["npy"], source)
    return folder


def lines(output: Path) -> dict[str, Any]:
    found = map(json.loads, (output / REPORT).read_text("utf-8").splitlines())
    return {line["image"]: line for line in found}


def mask(path: Path) -> Any:
    found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert found is not None
    assert found.dtype == np.uint8
    assert set(np.unique(found)) <= {0, 255}
    return found
