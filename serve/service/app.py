"""The HTTP application: its routes, and what every request passes."""

from __future__ import annotations

from fastapi import FastAPI

from serve.service.routes.depth import depth_routes
from serve.service.routes.errors import add_error_answers
from serve.service.routes.health import health_routes
from serve.service.routes.page import add_page
from serve.service.service import Service


def application(service: Service) -> FastAPI:
    """The application of a service; its lifetime is the caller's business."""
    app = FastAPI(title="depth", docs_url=None, redoc_url=None)
    app.include_router(depth_routes(service))
    app.include_router(health_routes(service))
    add_page(app)
    add_error_answers(app)
    return app
