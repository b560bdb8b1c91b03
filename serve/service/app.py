"""The HTTP application: its routes, and what every request passes."""

from __future__ import annotations

from fastapi import FastAPI

from depth.errors import InputError
from serve.service.asgi.guard import Guard
from serve.service.asgi.record import Record
from serve.service.routes.batch import batch_routes
from serve.service.routes.depth import depth_routes
from serve.service.routes.documented import complete
from serve.service.routes.errors import add_error_answers
from serve.service.routes.health import health_routes
from serve.service.routes.page import add_page
from serve.service.routes.sagemaker import sagemaker_routes
from serve.service.routes.samples import sample_routes
from serve.service.scenes.gallery_routes import gallery_routes
from serve.service.scenes.routes import scene_routes
from serve.service.service import Service
from serve.service.v2.http import v2_routes
from serve.service.v2.protocol import Protocol

OPENAPI_VERSION = "1"  # of the interface
SCENES = "scenes.html"


def application(service: Service) -> FastAPI:
    """The application of a service; its lifetime is the caller's business."""
    app = _empty()
    app.include_router(depth_routes(service))
    app.include_router(batch_routes(service))
    app.include_router(health_routes(service))
    app.include_router(v2_routes(Protocol(service)))
    app.include_router(sagemaker_routes(service))
    if service.settings.samples is not None:
        app.include_router(sample_routes(service.settings.samples))
    pages = {"/": "index.html", "/docs": "docs.html"}
    backend = service.backend
    if backend is not None:
        app.include_router(scene_routes(service, backend))
        pages.update({"/dashboard": "dashboard.html"}, **({"/": SCENES} if backend.alone else {}))
        if service.settings.gallery is not None:
            app.include_router(gallery_routes(service.settings.gallery, "/gallery"))
    add_page(app, pages)
    return _guarded(app, service)


def gallery_application(service: Service) -> FastAPI:
    """The gallery of a service and nothing else, at `/`. Raises InputError without a gallery."""
    if service.settings.gallery is None:
        raise InputError("no gallery: name its folder")
    app = _empty()
    add_page(app, {})
    app.include_router(gallery_routes(service.settings.gallery, ""))
    return _guarded(app, service)


def _empty() -> FastAPI:
    return FastAPI(
        title="depth",
        version=OPENAPI_VERSION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )


def _guarded(app: FastAPI, service: Service) -> FastAPI:
    """The same with what every request passes."""
    add_error_answers(app)
    complete(app, service.settings.token is not None)
    app.add_middleware(Guard, settings=service.settings)
    app.add_middleware(Record, metrics=service.metrics)  # the last is the outermost
    return app
