"""SageMaker's two paths: whether the container is ready, and an image in, its depth out.

Source: Amazon SageMaker developer guide, "Custom Inference Code with Hosting Services". The body of
/invocations is an image file. `Accept` chooses the format of its depth, as for /v1/depth.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from depth.images.given import hold
from serve.jobs.stage import Asked
from serve.service.accept import chosen
from serve.service.answers import MEDIA_TYPES
from serve.service.asgi.noted import noted_of
from serve.service.models import NotReadyError
from serve.service.routes.depth import image_in, until_gone
from serve.service.routes.documented import errors
from serve.service.routes.sending import Whole
from serve.service.service import Service, Wanted
from serve.service.v2.described import EMPTY

_IMAGES = ("image/jpeg", "image/png", "image/webp", "image/bmp", "image/tiff")
_BODY = {
    "requestBody": {
        "required": True,
        "content": {media_type: {} for media_type in (*_IMAGES, "application/octet-stream")},
    }
}
_DEPTH = {
    "description": "Depth in the format of Accept; headers say what its numbers are.",
    "content": {media_type: {} for media_type in MEDIA_TYPES.values()},
}


def sagemaker_routes(service: Service) -> APIRouter:
    """/ping and /invocations."""
    router = APIRouter(tags=["SageMaker"])

    @router.get("/ping", response_class=PlainTextResponse, responses={200: EMPTY, **errors(503)})
    async def ping() -> Response:
        """200 once every model has run on every core, 503 before that and while it drains."""
        if service.status != "ready":
            raise NotReadyError(f"the service is {service.status}: try again soon")
        return PlainTextResponse()

    @router.post(
        "/invocations",
        response_class=Response,
        responses={200: _DEPTH, **errors(404, 406, 408, 413, 415, 429, 503, 504)},
        openapi_extra=_BODY,
    )
    async def invocations(request: Request) -> Response:
        """Depth of the image in the body, by the default model."""
        form = chosen(", ".join(request.headers.getlist("accept")), MEDIA_TYPES)
        model = service.models.usable(None)
        noted_of(request.scope).model = model.name
        model.check_room()
        wanted = Wanted(model.name, form, asked=Asked(deadline_s=service.settings.deadline_s))
        async with image_in(request, service.bodies) as data:
            answer = await service.answer(hold(data), wanted, until_gone(request))
        return Whole(answer.data, answer.media_type, answer.headers, service.bodies)

    return router
