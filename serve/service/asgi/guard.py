"""Who may ask: a bearer token, and hosts that a browser cannot be lured to."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Optional

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from serve.service.failures import RequestError
from serve.service.routes.errors import error_answer
from serve.service.settings import Settings, is_loopback

# Without a token: what load balancers ask, and the pages, which have nothing of anybody.
_OPEN_PAGE = ("/", "/docs", "/openapi.json", "/dashboard", "/gallery", "/gallery/", "/favicon.ico")
OPEN = (*_OPEN_PAGE, "/healthz", "/readyz", "/ping", "/v2/health/live", "/v2/health/ready")
OPEN_BELOW = "/page/"
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::\d{0,5})?")
_READING = ("GET", "HEAD")
_SAME = ("same-origin", "none")  # Sec-Fetch-Site of a browser


class Guard:
    """Refuses requests before a route sees them."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._token = None if settings.token is None else _digest(settings.token.encode())
        self._hosts = {name.lower() for name in settings.allow_hosts}
        # A page of another site may make a browser ask a service that only this machine reaches.
        self._checks_host = bool(self._hosts) or (settings.token is None and settings.on_loopback)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            refusal = self._refusal(Headers(scope=scope), scope)
            if refusal is not None:
                await error_answer(refusal, scope=scope)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, headers: Headers, scope: Scope) -> Optional[RequestError]:
        if self._checks_host:
            found = self._misdirected(headers, scope["method"] in _READING)
            if found is not None:
                return found
        path = scope["path"]
        if self._token is None or path in OPEN or path.startswith(OPEN_BELOW):
            return None
        scheme, _, given = headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(_digest(given.strip().encode("latin-1")), self._token)
        if scheme.lower() == "bearer" and right:
            return None
        said = "send the service's token: Authorization: Bearer TOKEN"
        return RequestError(401, said, {"WWW-Authenticate": "Bearer"})

    def _misdirected(self, headers: Headers, reading: bool) -> Optional[RequestError]:
        host = headers.get("host")
        if host is not None and not self._ours(host):
            said = "Host: name this machine, as in http://localhost; or start with --allow-host"
            return RequestError(421, f"{said} {host[:100]!r}")
        if reading:  # whose answer the browser keeps from the other page
            return None
        origin = headers.get("origin")
        elsewhere = origin is not None and origin.partition("://")[2] != host
        if elsewhere or headers.get("sec-fetch-site", "none") not in _SAME:
            return RequestError(403, "a page of another site may not use this service")
        return None

    def _ours(self, host: str) -> bool:
        parts = _HOST.fullmatch(host)
        name = parts[1].strip("[]").lower() if parts else ""
        return name in self._hosts or is_loopback(name)


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()
