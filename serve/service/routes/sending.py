"""Large answers: sent in parts, as fast as the caller takes them, and counted as held."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serve.service.bodies import Bodies

_PART_BYTES = 1 << 18


class Whole(Response):
    """Bytes as an answer."""

    def __init__(
        self, data: bytes, media_type: str, headers: Mapping[str, str], bodies: Bodies
    ) -> None:
        super().__init__(data, 200, dict(headers), media_type)
        self._bodies = bodies

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        whole = memoryview(self.body)
        with self._bodies.holding() as hold:
            hold.keep(len(whole))
            await send(start)
            for at in range(0, len(whole), _PART_BYTES):
                part = bytes(whole[at : at + _PART_BYTES])
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
