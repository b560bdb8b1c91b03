"""POST /v1/depth: an image in, its depth out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Optional

import numpy as np
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from depth.errors import InputError
from depth.exports.view import ASSUMED
from depth.family import CONFIDENCE, DEPTH, SKY
from depth.fitting.fitter import Fitter, fitter_of
from depth.images.given import hold
from depth.maps.result import EXIF, FOCAL_PX, FOV_DEG, INTRINSICS, OUTPUT_SIZES
from depth.presets.names import PRESET_NAMES
from depth.steps.focal import FocalAsked
from serve.jobs.stage import Asked
from serve.service.accept import chosen
from serve.service.answers import MEDIA_TYPES, PALETTES
from serve.service.asgi.noted import noted_of
from serve.service.bodies import Bodies, check_not_packed
from serve.service.failures import RequestError
from serve.service.routes.documented import errors
from serve.service.routes.query import strict_query
from serve.service.routes.sending import Whole
from serve.service.service import Service, Wanted
from serve.service.uploads import check_is_image, in_memory, is_form, read_form

FIELD, POINTS = "image", "points"
_MAX_POINTS_BYTES = 1_000_000
MAPS = (DEPTH, SKY, CONFIDENCE)
_PX = r"[1-9]\d{0,5}(\.\d{1,6})?"
_INTRINSICS = rf"^{_PX}(,{_PX}){{3}}$"
_LEAST_DEADLINE_S, _MOST_DEADLINE_S = 0.1, 3600
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_IMAGES = ("image/jpeg", "image/png", "image/webp", "image/tiff", "image/bmp")
_BODY = {
    "required": True,
    "description": "An image: JPEG, PNG, WebP, BMP, TIFF, PGM or PPM.",
    "content": {
        **{media_type: {} for media_type in (*_IMAGES, "application/octet-stream")},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": [FIELD],
                "additionalProperties": False,
                "properties": {
                    FIELD: _BINARY["schema"],
                    POINTS: {
                        "type": "string",
                        "description": "JSON: measured points [x, y, depth] that depth is moved "
                        "onto, in px of the upright image from its first pixel's centre, and "
                        "metres along the optical axis.",
                    },
                },
            }
        },
    },
}
_TEXT = {"schema": {"type": "string"}}
_NUMBER = {"schema": {"type": "string", "pattern": r"^-?\d[\d.e+-]*$"}}
_FOV_SOURCES = [FOCAL_PX, FOV_DEG, INTRINSICS, EXIF, ASSUMED]
_HEADERS: dict[str, Any] = {
    "Depth-Kind": {"description": "what the numbers are", **_TEXT},
    "Depth-Unit": {"description": "m, or empty", **_TEXT},
    "Depth-Scale": {"description": "value = stored * scale + offset", **_NUMBER},
    "Depth-Offset": _NUMBER,
    "Depth-Valid-Range": {"description": "lowest and highest value", **_TEXT},
    "Depth-Fov-Deg": {"description": "horizontal angle of view in degrees", **_NUMBER},
    "Depth-Fov-Source": {"description": "where it comes from", "schema": {"enum": _FOV_SOURCES}},
    "Depth-Preset": {"description": "of preset only", **_TEXT},
    "Depth-Holds": {"description": "of preset only: distance, inverse, nearness, native", **_TEXT},
    "Depth-Invalid-Px": {"description": "of preset only: pixels without depth", **_NUMBER},
    "Depth-Beyond-Px": {"description": "of preset only: pixels too far for the codes", **_NUMBER},
    "Depth-Model": _TEXT,
    "Depth-Artifact": {"description": "identity of the artifact", **_TEXT},
    "Depth-Description": {"description": "the description as JSON on a line", **_TEXT},
    "Server-Timing": {"description": "milliseconds of read, wait, network, encode", **_TEXT},
}
_JSON = {
    "schema": {
        "type": "object",
        "required": ["description"],
        "properties": {
            "description": {"type": "object"},
            **{name: {"type": "array", "items": {"type": "array"}} for name in MAPS},
        },
    }
}
_ANSWER: dict[str, Any] = {
    "description": "The map, in the format that was asked for.",
    "headers": _HEADERS,
    "content": {
        media_type: _JSON if media_type == "application/json" else _BINARY
        for media_type in MEDIA_TYPES.values()
    },
}


_QUERY: Any = Query()


def _one_of(names: Iterable[str], default: Optional[str], description: str) -> Any:
    return Field(
        default,
        description=description,
        pattern=f"^({'|'.join(names)})$",
        json_schema_extra={"enum": list(names)},
    )


class DepthQuery(BaseModel):
    """The options of a request for depth."""

    model: Optional[str] = Field(None, description="Name of a model; by default the first.")
    format: Optional[str] = _one_of(MEDIA_TYPES, None, "Wins over the header Accept.")
    preset: Optional[str] = _one_of(
        PRESET_NAMES, None, "The depth file that a tool reads, instead of a format."
    )
    map: str = _one_of(MAPS, DEPTH, "A map that the model has; NPZ has all.")
    output_size: Optional[str] = _one_of(
        OUTPUT_SIZES, None, "full: the image's size. model: the network's."
    )
    palette: Optional[str] = _one_of(PALETTES, None, "Colours of a preview.")
    focal_px: Optional[float] = Field(
        None, ge=1e-3, le=1e6, description="Focal length in px of the image."
    )
    fov_deg: Optional[float] = Field(
        None, ge=0.01, le=179.99, description="Horizontal angle of view in degrees."
    )
    intrinsics: Optional[str] = Field(
        None, pattern=_INTRINSICS, description="fx,fy,cx,cy of the camera in px of the image."
    )
    deadline_s: Optional[float] = Field(
        None,
        ge=_LEAST_DEADLINE_S,
        le=_MOST_DEADLINE_S,
        description="The network has to begin by then; at most the service's own limit.",
    )

    def check_preset(self) -> None:
        """Raises RequestError (400) for a preset beside a format or another map."""
        if self.preset and (self.format or self.palette or self.map != DEPTH):
            raise RequestError(400, "preset: it says the format; leave format, map, palette out")

    def asked(self, limit_s: float) -> Asked:
        """The same for a stage; no deadline is later than `limit_s`. Raises InputError."""
        focal = focal_asked(self.focal_px, self.fov_deg, self.intrinsics)
        return Asked(focal, self.output_size, min(self.deadline_s or limit_s, limit_s))


def depth_routes(service: Service) -> APIRouter:
    """The route that makes depth of an image."""
    router = APIRouter(tags=["depth"], dependencies=[Depends(strict_query)])

    @router.post(
        "/v1/depth",
        response_class=Response,
        openapi_extra={"requestBody": _BODY},
        responses={200: _ANSWER, **errors(404, 406, 408, 413, 415, 429, 503, 504)},
    )
    async def depth(request: Request, options: DepthQuery = _QUERY) -> Response:
        """Depth of the image in the body: the file itself, or a form with the file as `image`."""
        accept = ", ".join(request.headers.getlist("accept"))
        options.check_preset()
        form = "png" if options.preset else options.format or chosen(accept, MEDIA_TYPES)
        asked = options.asked(service.settings.deadline_s)
        model = service.models.usable(options.model)
        noted_of(request.scope).model = model.name
        model.check_room()  # before a large body is read for nothing
        async with upload_in(request, service.bodies) as (data, points):
            asked = replace(asked, fit=await asyncio.to_thread(fitter_in, points))
            wanted = Wanted(model.name, form, options.map, asked, options.palette, options.preset)
            answer = await service.answer(hold(data), wanted, until_gone(request))
        return Whole(answer.data, answer.media_type, answer.headers, service.bodies)

    return router


@asynccontextmanager
async def image_in(request: Request, bodies: Bodies) -> AsyncIterator[bytes]:
    """As `upload_in`, the image alone."""
    async with upload_in(request, bodies) as (data, _):
        yield data


@asynccontextmanager
async def upload_in(request: Request, bodies: Bodies) -> AsyncIterator[tuple[bytes, Optional[str]]]:
    """The bytes of the image in a body, and the text of its points; inside `with` they are held.

    Raises as `Bodies.read`, and RequestError for another media type (415) or a bad form (400).
    """
    check_not_packed(request)
    if not is_form(request):
        check_is_image(request)
        async with bodies.read(request) as data:
            yield data, None
        return
    with bodies.holding() as hold:

        async def counted() -> Any:
            async for chunk in bodies.chunks(request):
                hold.add(len(chunk))
                yield chunk

        (upload,), texts = await read_form(
            request, counted(), FIELD, 1, in_memory, _MAX_POINTS_BYTES
        )
        try:
            data = await upload.read()
        finally:
            await upload.close()
        yield data, texts.get(POINTS)


def fitter_in(text: Optional[str]) -> Optional[Fitter]:
    """What moves depth onto points in JSON, or None. Raises InputError."""
    if text is None:
        return None
    try:
        rows = json.loads(text)
        points = np.array(rows if isinstance(rows, list) else None, np.float64)
    except (ValueError, TypeError, RecursionError, OverflowError):
        raise InputError(
            f"{POINTS} {text[:80]!r}: expected JSON [[x px, y px, depth in metres], ...]"
        ) from None
    return fitter_of(points)


def focal_asked(
    focal_px: Optional[float], fov_deg: Optional[float], intrinsics: Optional[str]
) -> Optional[FocalAsked]:
    """What a query says of the camera; None if it says nothing. Raises InputError."""
    if focal_px is None and fov_deg is None and intrinsics is None:
        return None
    matrix = None
    if intrinsics is not None:
        fx, fy, cx, cy = map(float, intrinsics.split(","))
        matrix = [[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]
    return FocalAsked(focal_px, fov_deg, matrix)


async def until_gone(request: Request) -> None:
    """Returns once the caller has closed the connection. The body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
