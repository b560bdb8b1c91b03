"""Whether the service lives, whether it is ready, and what it serves."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from serve.service.model import Model
from serve.service.service import Service


def health_routes(service: Service) -> APIRouter:
    """The routes for load balancers, and the list of models."""
    router = APIRouter(tags=["service"])

    @router.get("/healthz")
    async def healthz() -> Response:
        """200 while the process lives."""
        return JSONResponse({"status": "alive"})

    @router.get("/readyz")
    async def readyz() -> Response:
        """200 once every model has run on every core; 503 before that, and while it drains."""
        if service.ready:
            return JSONResponse({"status": "ready"})
        status = "draining" if service.draining else "loading"
        return JSONResponse({"status": status}, 503, {"Retry-After": "5"})

    @router.get("/v1/models")
    async def models() -> dict[str, list[dict[str, Any]]]:
        """The models, the default first."""
        return {"models": [about(model) for model in service.models.all]}

    return router


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
        "maps": [{"name": output.name, "kind": output.kind} for output in m.outputs],
        "licence": m.checkpoint.licence,
    }
