"""The paths of the Open Inference Protocol V2 over HTTP, as Triton has them."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from serve.service.asgi.noted import noted_of
from serve.service.bodies import Hold, check_length
from serve.service.failures import RequestError
from serve.service.models import NotReadyError
from serve.service.routes.depth import until_gone
from serve.service.routes.documented import answer, errors
from serve.service.routes.sending import Whole
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
from serve.service.v2.described import CONTROL_BODY, EMPTY, INDEX_BODY, INFER, INFERRED, LISTED
from serve.service.v2.infer import InferAnswer, planned
from serve.service.v2.protocol import Protocol

_RAW, _JSON = "application/octet-stream", "application/json"
_OF_MODEL = ("/models/{model}", "/models/{model}/versions/{version}")
_ABOUT = answer("In JSON.", {"type": "object"})


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
    @router.get("", responses={200: _ABOUT, **errors()})
    async def server() -> Response:
        """Name, version and extensions of the server."""
        return JSONResponse(protocol.server())

    @router.get(
        "/health/live", response_class=PlainTextResponse, responses={200: EMPTY, **errors()}
    )
    async def live() -> Response:
        """200 while the process lives."""
        return PlainTextResponse()

    @router.get(
        "/health/ready", response_class=PlainTextResponse, responses={200: EMPTY, **errors(503)}
    )
    async def ready() -> Response:
        """200 once every model has run on every core; 503 before that, and while it drains."""
        status = protocol.service.status
        if status != "ready":
            raise NotReadyError(f"the service is {status}: try again soon")
        return PlainTextResponse()

    @router.get("/models/stats", responses={200: _ABOUT, **errors()})
    async def all_stats() -> Response:
        """Statistics of every model."""
        return JSONResponse(protocol.stats())


def _add_models(router: APIRouter, protocol: Protocol) -> None:
    async def metadata(model: str, version: str = "") -> Response:
        """Inputs and outputs of a model."""
        return JSONResponse(protocol.metadata(model, version))

    async def ready(model: str, version: str = "") -> Response:
        """200 if the model answers."""
        protocol.check_ready(model, version)
        return PlainTextResponse()

    async def config(model: str, version: str = "") -> Response:
        """The configuration of a model."""
        return JSONResponse(protocol.config(model, version))

    async def stats(model: str, version: str = "") -> Response:
        """Counts of the requests of this protocol, and their times in nanoseconds."""
        return JSONResponse(protocol.stats(model, version))

    for path, route, found in (
        ("", metadata, _ABOUT),
        ("/ready", ready, EMPTY),
        ("/config", config, _ABOUT),
        ("/stats", stats, _ABOUT),
    ):
        kind = PlainTextResponse if found is EMPTY else JSONResponse
        _add(
            router,
            path,
            route,
            response_class=kind,
            responses={200: found, **errors(404, 503)},
        )


def _add(router: APIRouter, path: str, route: Any, **options: Any) -> None:
    """A path of a model, and of a version of it."""
    for prefix in _OF_MODEL:
        # Only a path has the version: no query may.
        made = route if "version" in prefix else _unversioned(route)
        router.add_api_route(prefix + path, made, **options)


def _unversioned(route: Any) -> Any:
    async def with_request(model: str, request: Request) -> Response:
        return await route(model=model, request=request)

    async def without(model: str) -> Response:
        return await route(model=model)

    made = with_request if "request" in route.__annotations__ else without
    made.__name__, made.__doc__ = f"newest_{route.__name__}", route.__doc__
    return made


def _add_repository(router: APIRouter, protocol: Protocol) -> None:
    refused = errors(404, 408, 413, 429, 503)

    @router.post("/repository/index", responses={200: LISTED, **refused}, openapi_extra=INDEX_BODY)
    async def index(request: Request) -> Response:
        """Models that are loaded or may be loaded, and why a load failed."""
        wanted = await _field(protocol, request, "ready", False)
        if not isinstance(wanted, bool):
            raise RequestError(400, "ready: expected true or false")
        return JSONResponse(protocol.index(wanted))

    @router.post(
        "/repository/models/{model}/load",
        response_class=PlainTextResponse,
        responses={200: EMPTY, **refused},
        openapi_extra=CONTROL_BODY,
    )
    async def load(model: str, request: Request) -> Response:
        """Load a model from where its operator said; the earlier model answers until then."""
        parameters = await _field(protocol, request, "parameters", {})
        await asyncio.to_thread(protocol.load, model, parameters)
        return PlainTextResponse()

    @router.post(
        "/repository/models/{model}/unload",
        response_class=PlainTextResponse,
        responses={200: EMPTY, **refused},
        openapi_extra=CONTROL_BODY,
    )
    async def unload(model: str, request: Request) -> Response:
        """Unload a model; it finishes its requests."""
        parameters = await _field(protocol, request, "parameters", {})
        await asyncio.to_thread(protocol.unload, model, parameters)
        return PlainTextResponse()


def _add_infer(router: APIRouter, protocol: Protocol) -> None:
    async def infer(request: Request, model: str, version: str = "") -> Response:
        """Depth of the images in the request."""
        found = protocol.check_ready(model, version)
        noted_of(request.scope).model = found.name
        found.check_room()  # before a large body is read for nothing
        bodies = protocol.service.bodies
        async with bodies.read(request) as body:
            with bodies.holding() as hold:
                return await _inferred(protocol, request, body, hold)

    statuses = errors(404, 408, 413, 415, 429, 503, 504)
    _add(
        router,
        "/infer",
        infer,
        methods=["POST"],
        responses={200: INFERRED, **statuses},
        openapi_extra=INFER,
    )


async def _inferred(protocol: Protocol, request: Request, body: bytes, hold: Hold) -> Response:
    headers, path, service = request.headers, request.path_params, protocol.service
    coding, limit = headers.get("content-encoding", ""), service.settings.max_body_bytes
    plain = await asyncio.to_thread(decompressed, body, coding, limit)
    hold.add(len(plain) - len(body) if len(plain) > len(body) else 0)
    asked = await asyncio.to_thread(
        infer_body, plain, headers.get(HEADER_LENGTH), path["model"], path.get("version", "")
    )
    found = await _answered(protocol, request, asked)
    data, length = await asyncio.to_thread(infer_answer, found, asked)
    accepted = headers.get("accept-encoding", "")
    data, packed = await asyncio.to_thread(compressed, data, accepted)
    said = {} if packed is None else {"Content-Encoding": packed}
    if length is not None:
        said[HEADER_LENGTH] = str(length)
    return Whole(data, _JSON if length is None else _RAW, said, service.bodies)


async def _answered(protocol: Protocol, request: Request, asked: InferBody) -> InferAnswer:
    service, wanted = protocol.service, asked.request
    with service.models.use(wanted.model) as model, protocol.statistics.request(model) as took:
        plan = await asyncio.to_thread(planned, model, wanted, service.settings.deadline_s)
        with plan.submitted(model) as futures:
            waiting = asyncio.gather(*map(asyncio.wrap_future, futures))
            results = await unless(until_gone(request), waiting)
        made = await asyncio.to_thread(plan.answer, results)
        took(len(results), made.timing_ms)
        return made


def _add_refusals(router: APIRouter) -> None:
    async def memory() -> Response:
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


async def _field(protocol: Protocol, request: Request, name: str, default: Any) -> Any:
    """The only field that the object in a body may have; `default` without it, or without a body.

    Raises RequestError (400) for any other field.
    """
    check_length(request, MAX_JSON_BYTES)
    async with protocol.service.bodies.read(request) as body:
        found = json_object(body, "request") if body else {}
    for unknown in set(found) - {name}:
        raise RequestError(400, f"unknown field {unknown[:100]!r}: expected {name}")
    return found.get(name, default)
