"""The HTTP application: its routes, and what every request passes."""

from __future__ import annotations

from fastapi import FastAPI

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
from serve.service.service import Service
from serve.service.v2.http import v2_routes
from serve.service.v2.protocol import Protocol

OPENAPI_VERSION = "1"  # of the interface


def application(service: Service) -> FastAPI:
    """The application of a service; its lifetime is the caller's business."""
    app = FastAPI(
        title="depth",
        version=OPENAPI_VERSION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.include_router(depth_routes(service))
    app.include_router(batch_routes(service))
    app.include_router(health_routes(service))
    app.include_router(v2_routes(Protocol(service)))
    app.include_router(sagemaker_routes(service))
    if service.settings.samples is not None:
        app.include_router(sample_routes(service.settings.samples))
    add_page(app)
    add_error_answers(app)
    complete(app, service.settings.token is not None)
    app.add_middleware(Guard, settings=service.settings)
    app.add_middleware(Record, metrics=service.metrics)  # the last is the outermost
    return app
