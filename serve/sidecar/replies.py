"""What the answer to a request says of its result, and the bytes of an answer without a file."""

from __future__ import annotations

from typing import Any

from depth.family import DEPTH
from depth.steps.focal import FocalAsked
from serve.jobs.stage import ImageResult
from serve.sidecar.formats import encode
from serve.sidecar.presets import PresetMaker, in_order, said_of
from serve.sidecar.requests import DepthRequest
from serve.sidecar.values import NEAR1, Look, is_stub

_BASE = DEPTH  # what the files of a preset are called


def said(request: DepthRequest, result: ImageResult, wall_ms: float) -> dict[str, Any]:
    """The header of an answer."""
    found = result.depth
    height, width = found.values.shape
    near = request.wanted == NEAR1
    return {
        "type": "result",
        "format": request.format,
        "height": height,
        "width": width,
        "values": NEAR1 if near else found.kind,
        "unit": None if near else found.unit,
        "focal_px": result.focal.px if result.focal else None,
        "model": result.provenance.model,
        "artifact": result.provenance.artifact,
        "notes": result.source["notes"],
        "wall_ms": round(wall_ms, 1),
        **({"stub": True} if is_stub(result) else {}),
    }


def encoded(
    request: DepthRequest, result: ImageResult, look: Look, presets: PresetMaker
) -> tuple[dict[str, Any], bytes]:
    """What the header says besides, and the payload. Raises InputError for a mismatch."""
    if request.preset is None:
        return {}, b"".join(encode(result, request.format, request.wanted))
    made = presets.files(request.preset, result, _BASE, FocalAsked(request.focal_px), look)
    payload = b"".join(data for _, data in in_order(made).values())
    return said_of(made), payload
