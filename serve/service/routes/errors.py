"""Every error as an answer of HTTP: the table of failures.py, in JSON."""

from __future__ import annotations

import logging
from typing import Optional

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import Scope

from depth.errors import DepthAnythingError
from serve.errors import ServeError
from serve.service.asgi.noted import noted_of
from serve.service.failures import RequestError, failure_of
from serve.service.service import GoneError

logger = logging.getLogger(__name__)

GONE = 499  # nobody reads it; logs and metrics count it


def error_answer(error: Exception, scope: Optional[Scope] = None) -> JSONResponse:
    """The answer for an error, by the table of failures.py. `scope`: of the request."""
    failure = failure_of(error)
    if failure.status >= 500 and failure.retry_after_s is None and failure.status != 504:
        logger.error("%s: %s", type(error).__name__, error, exc_info=error)
    if scope is not None:
        noted_of(scope).kind = failure.kind
    headers = dict(failure.headers)
    if failure.retry_after_s is not None:
        headers["Retry-After"] = str(failure.retry_after_s)
    said = {"error": failure.message, "kind": failure.kind}
    detail = getattr(error, "detail", None)
    more = {} if detail is None else {"detail": detail}
    return JSONResponse({**said, **more}, failure.status, headers)


def add_error_answers(app: FastAPI) -> None:
    """Have every error of a handler answered by `error_answer`."""

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        return error_answer(RequestError(400, f"{where}: {first['msg']}"), request.scope)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_methods(app, request.scope))
        found = RequestError(error.status_code, _said(error, headers), headers)
        return error_answer(found, request.scope)

    @app.exception_handler(ClientDisconnect)
    @app.exception_handler(GoneError)
    async def gone(request: Request, _error: Exception) -> Response:
        noted_of(request.scope).kind = "GoneError"
        return Response(status_code=GONE)

    @app.exception_handler(DepthAnythingError)
    @app.exception_handler(ServeError)
    async def failed(request: Request, error: Exception) -> Response:
        return error_answer(error, request.scope)


def _said(error: HTTPException, headers: dict[str, str]) -> str:
    if error.status_code == 404:
        return "there is nothing at this path; /openapi.json lists the paths"
    if error.status_code == 405:
        return f"this path takes {headers['Allow']}"
    return str(error.detail)


def _methods(app: FastAPI, scope: Scope) -> list[str]:
    """The methods that the path of a request takes."""
    found: set[str] = set()
    for route in app.routes:
        if route.matches(scope)[0] is not Match.NONE:
            found |= getattr(route, "methods", None) or {"GET"}
    return sorted(found | ({"HEAD"} if "GET" in found else set()))
