"""Whether the service lives, whether it is ready, what it serves, and its metrics."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from depth.family import UNITS
from serve.service.model import Model
from serve.service.routes.documented import answer, errors, schema
from serve.service.routes.query import strict_query
from serve.service.service import Service

_STATUS = schema(status={"type": "string"})
_MAP = schema(name={"type": "string"}, kind={"type": "string"}, unit={"type": ["string", "null"]})
_SIZE = {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}
_ABOUT: dict[str, Any] = {
    "type": "object",
    "required": ["name", "state"],
    "properties": {
        **{
            name: {"type": "string"}
            for name in ("name", "state", "model", "artifact", "target", "precision", "policy")
        },
        "reason": {"type": "string", "description": "why it is not there, or not newer"},
        "sizes": {"type": "array", "items": _SIZE},
        "maps": {"type": "array", "items": _MAP},
        "licence": {"type": ["string", "null"]},
    },
}
_MODELS = schema(models={"type": "array", "items": _ABOUT}, scenes={"type": "boolean"})
_METRICS = {
    "description": "Metrics in Prometheus' text format.",
    "content": {CONTENT_TYPE_LATEST: {"schema": {"type": "string"}}},
}


def health_routes(service: Service) -> APIRouter:
    """The routes for load balancers and Prometheus, and the list of models."""
    router = APIRouter(tags=["service"], dependencies=[Depends(strict_query)])

    @router.get("/healthz", responses={200: answer("The process lives.", _STATUS), **errors()})
    async def healthz() -> Response:
        """200 while the process lives."""
        return JSONResponse({"status": "alive"})

    @router.get(
        "/readyz",
        responses={
            200: answer("Every model answers.", _STATUS),
            **errors(),
            503: answer("It is loading, draining or out of service.", _STATUS, retry=True),
        },
    )
    async def readyz() -> Response:
        """200 once every model has run on every core; 503 before that, and while it drains."""
        status = service.status
        if status == "ready":
            return JSONResponse({"status": status})
        return JSONResponse({"status": status}, 503, {"Retry-After": "5"})

    @router.get("/v1/models", responses={200: answer("The models.", _MODELS), **errors()})
    async def models() -> Response:
        """The models of single images, the default first; and whether scenes are made."""
        scenes = service.backend is not None
        return JSONResponse({"models": _listed(service), "scenes": scenes})

    @router.get("/metrics", response_class=Response, responses={200: _METRICS, **errors()})
    async def metrics() -> Response:
        """Queues, batches, cores, latencies and errors."""
        return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return router


def _listed(service: Service) -> list[dict[str, Any]]:
    """Models that answer, with what went wrong since; then models that could not be loaded."""
    repository, rows = service.repository, {m.name: about(m) for m in service.models.all}
    for name in repository.names:
        state, reason = repository.state(name)
        row = rows.setdefault(name, {"name": name, "state": state.lower()})
        row.update({"reason": reason} if reason else {})
    return list(rows.values())


def about(model: Model) -> dict[str, Any]:
    """What a caller may know of a model."""
    if not model.ready:
        return {"name": model.name, "state": model.state}
    m, engine = model.manifest, model.stage.engine
    return {
        "name": model.name,
        "state": model.state,
        "model": m.model,
        "artifact": model.identity,
        "target": m.target,
        "precision": m.precision,
        "policy": engine.policy,
        "sizes": [list(size) for size in engine.library.sizes],
        "maps": [
            {"name": output.name, "kind": output.kind, "unit": UNITS.get(output.kind)}
            for output in m.outputs
        ],
        "licence": m.checkpoint.licence,
    }
