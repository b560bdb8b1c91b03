"""Every error as an answer of HTTP: the table of failures.py, in JSON."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from depth.errors import DepthAnythingError
from serve.errors import ServeError
from serve.service.failures import RequestError, failure_of
from serve.service.service import GoneError

logger = logging.getLogger(__name__)


def error_answer(error: Exception, retry_after_s: int | None = None) -> JSONResponse:
    """The answer for an error, by the table of failures.py."""
    failure = failure_of(error, retry_after_s)
    if failure.status >= 500:
        logger.error("%s: %s", type(error).__name__, error, exc_info=error)
    after = {} if failure.retry_after_s is None else {"Retry-After": str(failure.retry_after_s)}
    content = {"error": failure.message, "kind": failure.kind}
    return JSONResponse(content, failure.status, after)


def add_error_answers(app: FastAPI) -> None:
    """Have every error of a handler answered by `error_answer`."""

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        return error_answer(RequestError(400, f"{where}: {first['msg']}"))

    @app.exception_handler(HTTPException)
    async def refused(_request: Request, error: HTTPException) -> Response:
        return error_answer(RequestError(error.status_code, str(error.detail)))

    @app.exception_handler(GoneError)
    async def gone(_request: Request, _error: GoneError) -> Response:
        return Response(status_code=499)  # nobody reads it; logs and metrics count it

    @app.exception_handler(DepthAnythingError)
    @app.exception_handler(ServeError)
    @app.exception_handler(Exception)
    async def failed(_request: Request, error: Exception) -> Response:
        return error_answer(error)
