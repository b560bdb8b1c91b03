"""Callers of a service: several that wait for each answer, or a rate that waits for nothing."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=64)
REFUSED = -1  # the connection ended without an answer


@dataclass
class Seen:
    """What callers got: statuses, and the milliseconds of each answer with 200."""

    statuses: Counter[int] = field(default_factory=Counter)
    accepted_ms: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def per_s(self) -> float:
        """Answers with 200 per second."""
        return self.statuses[200] / self.seconds


async def _ask(client: httpx.AsyncClient, body: bytes, seen: Seen) -> None:
    begun_s = time.perf_counter()
    try:
        answer = await client.post("/v1/depth", content=body)
    except httpx.HTTPError:
        seen.statuses[REFUSED] += 1
        return
    seen.statuses[answer.status_code] += 1
    if answer.status_code == 200:
        seen.accepted_ms.append((time.perf_counter() - begun_s) * 1e3)


def waiting_clients(url: str, bodies: Sequence[bytes], clients: int) -> Seen:
    """Post every body once, by callers that each wait for their answer."""

    async def one(client: httpx.AsyncClient, left: list[bytes], seen: Seen) -> None:
        while left:
            await _ask(client, left.pop(), seen)

    async def every() -> Seen:
        seen, left = Seen(), list(bodies)
        async with httpx.AsyncClient(base_url=url, timeout=300, limits=_LIMITS) as client:
            begun_s = time.perf_counter()
            await asyncio.gather(*(one(client, left, seen) for _ in range(clients)))
            seen.seconds = time.perf_counter() - begun_s
        return seen

    return asyncio.run(every())


def steady_rate(url: str, body: bytes, per_s: float, seconds: float) -> Seen:
    """Post at a rate, whatever the service does, and wait for all answers."""

    async def every() -> Seen:
        seen = Seen()
        async with httpx.AsyncClient(base_url=url, timeout=300, limits=_LIMITS) as client:
            begun_s = time.perf_counter()
            tasks = []
            for number in range(int(per_s * seconds)):
                await asyncio.sleep(max(0.0, begun_s + number / per_s - time.perf_counter()))
                tasks.append(asyncio.create_task(_ask(client, body, seen)))
            await asyncio.gather(*tasks)
            seen.seconds = time.perf_counter() - begun_s
        return seen

    return asyncio.run(every())
