"""Records each request: its id, a line of the log, its metrics, and headers of every answer."""

from __future__ import annotations

import logging
import re
import uuid
from typing import Optional

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.service.asgi.metrics import HTTP, Metrics
from serve.service.asgi.noted import Noted, put
from serve.service.failures import failure_of

logger = logging.getLogger(__name__)

GONE = 499  # the caller went away: no answer was read
_GIVEN_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,64}")
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class Record:
    """Around the whole application. No error of the application passes it: the caller gets 500."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        noted = Noted(_request_id(scope), scope["method"])
        head = noted.method == "HEAD"
        inner = {**scope, "method": "GET"} if head else scope
        put(inner, noted)

        async def recorded(message: Message) -> None:
            if message["type"] == "http.response.start":
                noted.status = message["status"]
                _complete(message, noted)
            elif head:
                message = {**message, "body": b""}
            await send(message)
            noted.sent_bytes += len(message.get("body", b""))

        with self._metrics.open_request(HTTP):
            try:
                await self._answered(noted, inner, receive, recorded)
            finally:
                self._note(noted, inner)

    async def _answered(self, noted: Noted, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:
            noted.status, noted.kind = GONE, "GoneError"
        except Exception as error:
            noted.kind = "InternalError"
            logger.exception("request %s: unexpected error", noted.request_id)
            if noted.status:  # half an answer: the connection has to end, so that nobody takes it
                raise
            failure = failure_of(error)
            answer = {"error": failure.message, "kind": failure.kind}
            await JSONResponse(answer, failure.status)(scope, receive, send)

    def _note(self, noted: Noted, scope: Scope) -> None:
        path = _template(scope)
        method = noted.method if noted.method in _METHODS else "other"
        self._metrics.request(HTTP, method, path, noted)
        logger.info(
            "request",
            extra={
                "event": {
                    "id": noted.request_id,
                    "method": method,
                    "path": path,
                    "status": noted.status,
                    "bytes": noted.sent_bytes,
                    "ms": round(noted.ms, 1),
                    **({"model": noted.model} if noted.model else {}),
                    **({"kind": noted.kind} if noted.kind else {}),
                }
            },
        )


def _complete(message: Message, noted: Noted) -> None:
    """Headers that every answer has, unless its route has set them."""
    headers = MutableHeaders(raw=list(message.get("headers", [])))
    for name, text in _HEADERS.items():
        headers.setdefault(name, text)
    headers["Request-Id"] = noted.request_id
    message["headers"] = headers.raw


def _request_id(scope: Scope) -> str:
    """The caller's, if it is short and plain; else a new one."""
    given: Optional[str] = Headers(scope=scope).get("request-id")
    return given if given and _GIVEN_ID.fullmatch(given) else uuid.uuid4().hex


def _template(scope: Scope) -> str:
    """The path of the route as it was declared; "other" if there is none."""
    template: str = getattr(scope.get("route"), "path", "")
    mounted = scope.get("root_path", "") if "endpoint" in scope else ""
    return template or mounted or "other"
