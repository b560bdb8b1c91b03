"""Bodies of requests: read within limits of size, time and memory."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Optional

from starlette.requests import Request

from serve.errors import QueueFullError
from serve.service.failures import RequestError
from serve.service.settings import Settings


class Bodies:
    """Reads bodies. All bodies and answers in memory together take at most `held_bytes`.

    For one event loop only.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.held_bytes = 0

    @property
    def timeout_s(self) -> float:
        """For a body to arrive whole."""
        return self._settings.body_timeout_s

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """The whole body; inside `with` it counts as held.

        Raises as `chunks`, and QueueFullError if too many bytes are held.
        """
        with self.holding() as hold:
            parts = []
            async for chunk in self.chunks(request):
                hold.add(len(chunk))
                parts.append(chunk)
            yield b"".join(parts)

    @contextmanager
    def holding(self) -> Iterator[Hold]:
        """Counts bytes in memory until the end of `with`."""
        hold = Hold(self, self._settings.held_bytes)
        try:
            yield hold
        finally:
            self.held_bytes -= hold.size_bytes

    async def chunks(
        self,
        request: Request,
        limit_bytes: Optional[int] = None,
        timeout_s: Optional[float] = None,
    ) -> AsyncGenerator[bytes, None]:
        """The chunks of a body, within limits; by default those of the settings.

        Raises RequestError for a body that is too large (413) or too slow (408), and
        ClientDisconnect if the caller is gone.
        """
        limit_bytes = limit_bytes or self._settings.max_body_bytes
        timeout_s = timeout_s or self.timeout_s
        check_length(request, limit_bytes)
        deadline_s, received = asyncio.get_running_loop().time() + timeout_s, 0
        stream = request.stream().__aiter__()
        while True:
            try:
                chunk = await _before(deadline_s, stream)
            except asyncio.TimeoutError:
                said = f"the body did not arrive within {timeout_s:g} s; send it faster"
                raise RequestError(408, said) from None
            if chunk is None:
                return
            received += len(chunk)
            if received > limit_bytes:
                raise _too_large(limit_bytes)
            yield chunk


async def _before(deadline_s: float, stream: AsyncIterator[bytes]) -> Optional[bytes]:
    """The next chunk; None at the end. Raises asyncio.TimeoutError.

    A timer alone: `asyncio.wait_for` makes a task for each chunk, and a body has many.
    """
    task, late = asyncio.current_task(), False

    def expire() -> None:
        nonlocal late
        late = True
        if task is not None:
            task.cancel()

    timer = asyncio.get_running_loop().call_at(deadline_s, expire)
    try:
        return await stream.__anext__()
    except StopAsyncIteration:
        return None
    except asyncio.CancelledError:
        if not late:
            raise
        if sys.version_info >= (3, 11) and task is not None:
            task.uncancel()
        raise asyncio.TimeoutError from None
    finally:
        timer.cancel()


class Hold:
    """Bytes that a request has in memory."""

    def __init__(self, bodies: Bodies, limit_bytes: int) -> None:
        self.size_bytes = 0
        self._bodies = bodies
        self._limit_bytes = limit_bytes

    def add(self, size_bytes: int) -> None:
        """Count more. Raises QueueFullError if all requests together hold too much."""
        self.keep(size_bytes)
        if self._bodies.held_bytes > self._limit_bytes:
            raise QueueFullError("too many large requests are under way; try again soon")

    def keep(self, size_bytes: int) -> None:
        """Count what is there already, such as an answer."""
        self.size_bytes += size_bytes
        self._bodies.held_bytes += size_bytes


def check_length(request: Request, limit_bytes: int) -> None:
    """Refuse a body by its header. Raises RequestError: 413."""
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared[:20]) > limit_bytes:
        raise _too_large(limit_bytes)


def check_not_packed(request: Request) -> None:
    """Refuse a compressed body: images are compressed already. Raises RequestError: 415."""
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise RequestError(
            415,
            f"Content-Encoding: {coding[:50]!r}: send the image as it is; it is compressed already",
            {"Accept-Encoding": "identity"},
        )


def _too_large(limit_bytes: int) -> RequestError:
    return RequestError(413, f"the body is over the limit of {limit_bytes / 1e6:g} MB")
