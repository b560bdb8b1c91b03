"""POST /v1/depth: an image in, its depth out."""

from __future__ import annotations

from typing import Optional

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from depth.errors import InputError
from depth.family import DEPTH
from depth.images.given import hold
from depth.maps.result import OUTPUT_SIZES
from depth.steps.focal import FocalAsked
from serve.jobs.stage import Asked
from serve.service.answers import FORMS, chosen
from serve.service.service import Service, Wanted


def depth_routes(service: Service) -> APIRouter:
    """The route that makes depth of an image, and the list of models."""
    router = APIRouter(tags=["depth"])

    @router.post("/v1/depth")
    async def depth(
        request: Request,
        model: Optional[str] = Query(None, description="Name of a model; by default the first."),
        format: Optional[str] = Query(  # noqa: A002
            None, description="png, npy, …; wins over the header Accept.", enum=list(FORMS)
        ),
        map: str = Query(DEPTH, description="depth, or sky or confidence."),  # noqa: A002
        output_size: Optional[str] = Query(None, enum=list(OUTPUT_SIZES)),
        focal_px: Optional[float] = Query(None, description="Focal length in px of the image."),
        fov_deg: Optional[float] = Query(None, description="Horizontal angle of view in degrees."),
        deadline_s: Optional[float] = Query(None, gt=0, le=3600),
    ) -> Response:
        """Depth of the image in the body."""
        form = format or chosen(request.headers.get("accept", ""))
        if form not in FORMS:
            raise InputError(f"format {form[:100]!r}: expected one of {', '.join(FORMS)}")
        focal = None if focal_px is None and fov_deg is None else FocalAsked(focal_px, fov_deg)
        limit_s = service.settings.deadline_s
        asked = Asked(focal, output_size, min(deadline_s or limit_s, limit_s))
        async with service.bodies.read(request) as body:
            wanted = Wanted(model, form, map, asked)
            answer = await service.answer(hold(body), wanted, until_gone(request))
        return Response(answer.data, media_type=answer.media_type, headers=dict(answer.headers))

    return router


async def until_gone(request: Request) -> None:
    """Returns once the caller has closed the connection. The body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
