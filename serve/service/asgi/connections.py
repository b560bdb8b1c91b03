"""Connections of callers that are slow on purpose, or too many: each gets a limit.

uvicorn limits the time between requests, and nothing before the first request or inside headers.
"""

from __future__ import annotations

import asyncio
from typing import Any, Optional

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_ANSWER_TIMEOUTS = 4  # times the limit of a body: an answer is larger than an image
_LINGER_S = 5.0  # in which a caller may go on sending what was refused


class Connection(HttpToolsProtocol):
    """A connection of uvicorn's with limits that `limited` sets.

    arriving   from the first byte of a request to the end of its headers
    lingering  from an answer to the end of the body that it refused
    leaving    from an answer that the caller does not take to its end
    """

    timeout_s = 30.0
    max_header_bytes = 65_536
    max_connections = 1000
    _timer: Optional[asyncio.TimerHandle] = None
    _slow_reader: Optional[asyncio.TimerHandle] = None
    _header_bytes = 0  # received of headers that are not complete
    _new = False  # the last bytes began a message
    _body_left = False  # the headers are complete, the message is not

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self._refuse(503, "too many connections; try again soon", "Retry-After: 1\r\n")
        else:
            self._begin(self.timeout_s)

    def connection_lost(self, exc: Optional[Exception]) -> None:
        self._stop()
        if self._slow_reader is not None:
            self._slow_reader.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._new = False
        super().data_received(data)
        # A first part is not counted: it may end the message before.
        if self._timer is None or self._new or self._body_left:
            return
        self._header_bytes += len(data)
        if self._header_bytes > self.max_header_bytes and not self.transport.is_closing():
            self._refuse(431, f"headers are over {self.max_header_bytes} bytes; send fewer")

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, msg)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._new = True
        if self._timer is None:
            self._begin(self.timeout_s)

    def on_headers_complete(self) -> None:
        self._stop()
        self._body_left = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._stop()
        self._body_left = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._body_left and not self.transport.is_closing():
            self._begin(min(_LINGER_S, self.timeout_s))

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._slow_reader is None:
            limit_s = _ANSWER_TIMEOUTS * self.timeout_s
            self._slow_reader = self.loop.call_later(limit_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._slow_reader is not None:
            self._slow_reader.cancel()
            self._slow_reader = None

    def _begin(self, limit_s: float) -> None:
        self._stop()
        self._timer = self.loop.call_later(limit_s, self._late)

    def _stop(self) -> None:
        self._header_bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        if self.transport.is_closing():
            return
        if self._body_left:
            self.transport.close()
        elif self.cycle is not None and not self.cycle.response_complete:
            self._begin(self.timeout_s)  # the request before is still being answered
        else:
            self._refuse(408, f"no whole request within {self.timeout_s:g} s")

    def _refuse(self, status: int, text: str, header: str = "") -> None:
        body = f'{{"error":"{text}","kind":"RequestError"}}'
        head = f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n{header}"
        end = f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
        self.transport.write((head + end).encode())
        self.transport.close()


_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


def limited(timeout_s: float, max_connections: int) -> type[Connection]:
    """A class of connections with these limits."""
    limits: dict[str, Any] = {"timeout_s": timeout_s, "max_connections": max_connections}
    return type("LimitedConnection", (Connection,), limits)
