"""Bodies of requests: read in full within limits of size, time and memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from serve.errors import QueueFullError
from serve.service.failures import RequestError
from serve.service.settings import Settings


class Bodies:
    """Reads bodies. All of them together take at most `Settings.held_bytes`.

    For one event loop only.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.held_bytes = 0

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """The whole body; inside `with` it counts as held.

        Raises RequestError for a body that is too large (413) or too slow (408), QueueFullError if
        too many bytes are held, ClientDisconnect if the caller is gone.
        """
        limit, parts, size = self._settings.max_body_bytes, [], 0
        declared = request.headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > limit:
            raise _too_large(limit)
        try:
            deadline_s = asyncio.get_running_loop().time() + self._settings.body_timeout_s
            chunks = request.stream().__aiter__()
            while True:
                left_s = deadline_s - asyncio.get_running_loop().time()
                chunk = await asyncio.wait_for(_next(chunks), left_s)
                if chunk is None:
                    break
                size += len(chunk)
                self.held_bytes += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                if self.held_bytes > self._settings.held_bytes:
                    raise QueueFullError("too many large requests are under way; try again soon")
                parts.append(chunk)
            yield b"".join(parts)
        except asyncio.TimeoutError:
            said = f"the body did not arrive within {self._settings.body_timeout_s:g} s"
            raise RequestError(408, said) from None
        finally:
            self.held_bytes -= size


async def _next(chunks: AsyncIterator[bytes]) -> bytes | None:
    try:
        return await chunks.__anext__()
    except StopAsyncIteration:
        return None


def _too_large(limit_bytes: int) -> RequestError:
    return RequestError(413, f"the body is over the limit of {limit_bytes / 1e6:g} MB")
