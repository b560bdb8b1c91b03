"""The paths of the Open Inference Protocol V2 over HTTP, as Triton has them."""

from __future__ import annotations

import asyncio
from typing import Any, Optional

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from serve.errors import QueueFullError
from serve.service.failures import RequestError
from serve.service.routes.depth import until_gone
from serve.service.service import unless
from serve.service.v2.body import (
    HEADER_LENGTH,
    MAX_JSON_BYTES,
    InferBody,
    compressed,
    decompressed,
    infer_answer,
    infer_body,
    json_object,
)
from serve.service.v2.documented import ANSWER, EMPTY, INFER, JSON_BODY, answers
from serve.service.v2.infer import InferAnswer, planned
from serve.service.v2.protocol import Protocol

_RAW = "application/octet-stream"


def v2_routes(protocol: Protocol) -> APIRouter:
    """Every path below /v2."""
    router = APIRouter(prefix="/v2", tags=["Open Inference Protocol V2"])
    _add_server(router, protocol)
    _add_repository(router, protocol)
    _add_models(router, protocol)
    _add_infer(router, protocol)
    _add_refusals(router)
    return router


def _add_server(router: APIRouter, protocol: Protocol) -> None:
    @router.get("", responses=ANSWER)
    async def server() -> Response:
        """Name, version and extensions of the server."""
        return JSONResponse(protocol.server())

    @router.get("/health/live", responses=EMPTY)
    async def live() -> Response:
        """200 while the process lives."""
        return Response()

    @router.get("/health/ready", responses={**EMPTY, **answers(503)})
    async def ready() -> Response:
        """200 once every model has run on every core; 503 before that, and while it drains."""
        if protocol.service.ready:
            return Response()
        return JSONResponse({"error": "not ready"}, 503, {"Retry-After": "5"})

    @router.get("/models/stats", responses=ANSWER)
    async def all_stats() -> Response:
        """Statistics of every model."""
        return JSONResponse(protocol.stats())


def _add_models(router: APIRouter, protocol: Protocol) -> None:
    def get(path: str, **options: Any) -> Any:
        """A path with and without a version."""

        def add(route: Any) -> Any:
            router.get(f"/models/{{model}}/versions/{{version}}{path}", **options)(route)
            return router.get(f"/models/{{model}}{path}", **options)(_unversioned(route))

        return add

    @get("", responses={**ANSWER, **answers(404, 503)})
    async def metadata(model: str, version: str) -> Response:
        """Inputs and outputs of a model."""
        return JSONResponse(protocol.metadata(model, version))

    @get("/ready", responses={**EMPTY, **answers(404, 503)})
    async def model_ready(model: str, version: str) -> Response:
        """200 if the model answers."""
        if protocol.model_ready(model, version):
            return Response()
        return JSONResponse({"error": f"model {model} is not ready"}, 503, {"Retry-After": "5"})

    @get("/config", responses={**ANSWER, **answers(404, 503)})
    async def config(model: str, version: str) -> Response:
        """The configuration of a model."""
        return JSONResponse(protocol.config(model, version))

    @get("/stats", responses={**ANSWER, **answers(404)})
    async def stats(model: str, version: str) -> Response:
        """Counts of requests of this protocol, and their times in nanoseconds."""
        return JSONResponse(protocol.stats(model, version))


def _unversioned(route: Any) -> Any:
    async def newest(model: str) -> Response:
        return await route(model, "")

    newest.__name__, newest.__doc__ = f"newest_{route.__name__}", route.__doc__
    return newest


def _add_repository(router: APIRouter, protocol: Protocol) -> None:
    refusals = answers(400, 403, 404, 408, 413, 429, 503)

    @router.post("/repository/index", responses={**ANSWER, **refusals}, openapi_extra=JSON_BODY)
    async def index(request: Request) -> Response:
        """Models that are loaded or may be loaded, and why a load failed."""
        wanted = (await _json(protocol, request)).get("ready", False)
        if not isinstance(wanted, bool):
            raise RequestError(400, "ready: expected true or false")
        return JSONResponse(protocol.index(wanted))

    @router.post(
        "/repository/models/{model}/load", responses={**EMPTY, **refusals}, openapi_extra=JSON_BODY
    )
    async def load(model: str, request: Request) -> Response:
        """Load a model from where its operator said; the earlier model answers until then."""
        parameters = (await _json(protocol, request)).get("parameters")
        await asyncio.to_thread(protocol.load, model, parameters)
        return Response()

    @router.post(
        "/repository/models/{model}/unload",
        responses={**EMPTY, **refusals},
        openapi_extra=JSON_BODY,
    )
    async def unload(model: str, request: Request) -> Response:
        """Unload a model; it finishes its requests."""
        parameters = (await _json(protocol, request)).get("parameters")
        await asyncio.to_thread(protocol.unload, model, parameters)
        return Response()


def _add_infer(router: APIRouter, protocol: Protocol) -> None:
    statuses = answers(400, 404, 408, 413, 415, 429, 500, 503, 504)

    @router.post(
        "/models/{model}/versions/{version}/infer",
        responses={**ANSWER, **statuses},
        openapi_extra=INFER,
    )
    async def infer(model: str, version: str, request: Request) -> Response:
        """Depth of the images in the request."""
        async with protocol.service.bodies.read(request) as body:
            return await _inferred(protocol, request, body, model, version)

    @router.post("/models/{model}/infer", responses={**ANSWER, **statuses}, openapi_extra=INFER)
    async def newest_infer(model: str, request: Request) -> Response:
        """Depth of the images in the request."""
        return await infer(model, "", request)


async def _inferred(
    protocol: Protocol, request: Request, body: bytes, model: str, version: str
) -> Response:
    headers, service = request.headers, protocol.service
    protocol.model_ready(model, version)  # refuse an unknown model before any work
    plain = await asyncio.to_thread(
        decompressed, body, headers.get("content-encoding", ""), service.settings.max_body_bytes
    )
    grown = max(0, len(plain) - len(body))
    bodies = service.bodies
    if bodies.held_bytes + grown > service.settings.held_bytes:
        raise QueueFullError("too many large requests are under way; try again soon")
    bodies.held_bytes += grown
    try:
        asked = await asyncio.to_thread(
            infer_body, plain, headers.get(HEADER_LENGTH), model, version
        )
        answer = await _answered(protocol, request, asked)
        data, length = await asyncio.to_thread(infer_answer, answer, asked)
        data, coding = await asyncio.to_thread(compressed, data, headers.get("accept-encoding", ""))
    finally:
        bodies.held_bytes -= grown
    said = {} if coding is None else {"Content-Encoding": coding}
    if length is not None:
        said[HEADER_LENGTH] = str(length)
    return Response(data, 200, said, _RAW if length is not None else "application/json")


async def _answered(protocol: Protocol, request: Request, asked: InferBody) -> InferAnswer:
    service, wanted = protocol.service, asked.request
    with service.models.use(wanted.model) as model, protocol.statistics.request(model) as took:
        plan = await asyncio.to_thread(planned, model, wanted, service.settings.deadline_s)
        with plan.submitted(model) as futures:
            waiting = asyncio.gather(*map(asyncio.wrap_future, futures))
            results = await unless(until_gone(request), waiting)
        answer = await asyncio.to_thread(plan.answer, results)
        took(len(results), answer.timing_ms)
        return answer


def _add_refusals(router: APIRouter) -> None:
    async def memory() -> Response:
        """Regions of shared memory are not supported."""
        raise RequestError(400, "shared-memory regions are not supported: send data in the request")

    for kind in ("systemsharedmemory", "cudasharedmemory"):
        for path, method in (
            ("status", "GET"),
            ("region/{region}/status", "GET"),
            ("region/{region}/register", "POST"),
            ("unregister", "POST"),
            ("region/{region}/unregister", "POST"),
        ):
            router.add_api_route(
                f"/{kind}/{path}", memory, methods=[method], include_in_schema=False
            )


async def _json(protocol: Protocol, request: Request) -> dict[str, Any]:
    """The object in a body, {} if there is no body."""
    declared: Optional[str] = request.headers.get("content-length")
    if declared and declared.isdecimal() and int(declared) > MAX_JSON_BYTES:
        raise RequestError(413, f"the body is over {MAX_JSON_BYTES / 1e6:g} MB")
    async with protocol.service.bodies.read(request) as body:
        return json_object(body, "request") if body else {}
