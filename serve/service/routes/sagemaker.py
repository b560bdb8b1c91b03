"""SageMaker's two paths: whether the container is ready, and an image in, its depth out.

Source: Amazon SageMaker developer guide, "Custom Inference Code with Hosting Services". The body of
/invocations is an image file. `Accept` chooses the format of its depth, as for /v1/depth.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from depth.images.given import hold
from serve.jobs.stage import Asked
from serve.service.answers import chosen
from serve.service.failures import RequestError
from serve.service.routes.depth import until_gone
from serve.service.service import Service, Wanted
from serve.service.v2.documented import EMPTY, answers

_NO_IMAGE = ("application/json", "application/jsonlines", "text/csv", "multipart/form-data")
_IMAGE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-image": {"schema": {"type": "string", "format": "binary"}},
            "image/*": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
_DEPTH = {200: {"description": "Depth in the format of Accept.", "content": {"*/*": {}}}}


def sagemaker_routes(service: Service) -> APIRouter:
    """/ping and /invocations."""
    router = APIRouter(tags=["SageMaker"])

    @router.get("/ping", responses={**EMPTY, **answers(503)})
    async def ping() -> Response:
        """200 once every model has run on every core, 503 before that and while it drains."""
        if service.ready:
            return Response()
        return JSONResponse({"error": "not ready"}, 503, {"Retry-After": "5"})

    @router.post(
        "/invocations",
        responses={**_DEPTH, **answers(400, 406, 408, 413, 415, 429, 500, 503, 504)},
        openapi_extra=_IMAGE_BODY,
    )
    async def invocations(request: Request) -> Response:
        """Depth of the image in the body, by the default model."""
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type in _NO_IMAGE:
            raise RequestError(
                415, f"Content-Type {media_type}: the body has to be an image file itself"
            )
        form = chosen(request.headers.get("accept", ""))
        wanted = Wanted(form=form, asked=Asked(deadline_s=service.settings.deadline_s))
        async with service.bodies.read(request) as body:
            answer = await service.answer(hold(body), wanted, until_gone(request))
        return Response(answer.data, media_type=answer.media_type, headers=dict(answer.headers))

    return router
