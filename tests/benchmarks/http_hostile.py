"""Ten thousand hostile requests at a service: no fault of its own, and nothing grows.

    python -m tests.benchmarks.http_hostile ARTIFACT --count 10000

Damaged images, damaged forms, lengths that lie, bodies that end early, chunks that are none, bombs,
headers without end, and senders that never finish. Counts go to
tests/benchmarks/results/http-hostile.json.
"""

from __future__ import annotations

import json
import socket
import struct
import tempfile
import urllib.request
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path

import numpy as np
import typer

from tests.support.hostile import mutations
from tests.support.image_samples import MUTABLE
from tests.support.processes import until
from tests.support.raw_http import answer, connect, post
from tests.support.served import a_served_artifact, descriptors, memory_mb

RESULT = Path(__file__).parent / "results/http-hostile.json"
CLIENTS = 6
CUT_OFF = 0  # the connection ended without an answer, as after a caller's own lie
_FORM = b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n%s\r\n--b--\r\n'
_FORM_TYPE = "Content-Type: multipart/form-data; boundary=b"
_WAITED_FOR = ("ends early", "goes on", "broken chunks", "noise")  # the service expects more
_GROWTH_MB = 40.0  # of memory, from a tenth of the requests to the end


def requests(seed: int) -> Iterator[tuple[str, bytes]]:
    """Hostile requests without end, each with its kind; the same for a seed."""
    generator = np.random.default_rng(seed)
    damaged = (data for _, data in mutations(MUTABLE, seed))
    forms = {"form": _FORM % b"x" * 3, "whole": _FORM % next(damaged)}
    broken = (data for _, data in mutations(forms, seed))
    bomb = _bomb()
    while True:
        data = next(damaged)
        yield "damaged image", post(data)
        yield "damaged form", post(next(broken), "/v1/depth", _FORM_TYPE)
        yield "image in a form", post(_FORM % data, "/v1/depth", _FORM_TYPE)
        yield "ends early", post(data, length=len(data) + int(generator.integers(1, 10**6)))
        yield "goes on", post(data, length=max(0, len(data) - int(generator.integers(1, 99))))
        yield "bomb", post(bomb)
        yield "too large", post(data, length=10**12)
        yield "other coding", post(zlib.compress(data), "/v1/depth", "Content-Encoding: deflate")
        yield "broken chunks", _chunked(generator.bytes(40))
        yield "noise", generator.bytes(int(generator.integers(1, 2000)))
        yield "long headers", post(data, "/v1/depth", *[f"X-{n}: {'y' * 900}" for n in range(90)])
        yield "odd option", post(data, f"/v1/depth?format=%00{generator.integers(99)}&map=%ff")


def _chunked(noise: bytes) -> bytes:
    head = b"POST /v1/depth HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"5\r\nabcde\r\n" + noise


def _bomb() -> bytes:
    """A PNG of 30000x30000 px in some kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    parts = (
        chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10**7))) + chunk(b"IEND", b"")
    )
    return b"\x89PNG\r\n\x1a\n" + parts


def attack(url: str, count: int, seed: int = 0) -> dict[str, Counter[str]]:
    """Send hostile requests from several callers; counts of statuses by kind."""
    found: dict[str, Counter[str]] = {}

    def one(request: tuple[str, bytes]) -> tuple[str, int]:
        kind, sent = request
        try:
            with connect(url) as connection:
                with suppress(OSError):
                    connection.sendall(sent)
                if kind in _WAITED_FOR:
                    with suppress(OSError):
                        connection.shutdown(socket.SHUT_WR)  # nothing more comes
                return kind, answer(connection)[0]
        except OSError:
            return kind, CUT_OFF

    with ThreadPoolExecutor(CLIENTS) as pool:
        for kind, status in pool.map(one, islice(requests(seed), count)):
            found.setdefault(kind, Counter())[str(status)] += 1
    return found


def slow_senders(url: str, count: int) -> Counter[str]:
    """Callers that send a byte and no more: what they get."""
    opened = [connect(url) for _ in range(count)]
    found: Counter[str] = Counter()
    for number, connection in enumerate(opened):
        connection.sendall(b"P" if number % 2 else post(b"x" * 10, length=1000))
    for connection in opened:
        found[str(answer(connection)[0])] += 1
        connection.close()
    return found


def is_ready(url: str) -> bool:
    with urllib.request.urlopen(f"{url}/readyz") as opened:
        return bool(opened.status == 200)


def main(
    artifact: Path,
    count: int = typer.Option(10_000, help="Requests."),
    seed: int = typer.Option(0, help="Of the damage."),
) -> None:
    """Attack a service, print the counts, and keep them."""
    with (
        tempfile.TemporaryDirectory() as place,
        a_served_artifact(artifact, Path(place), "--body-timeout-s", 3) as (process, url),
    ):
        statuses = attack(url, count // 10, seed + 1)
        before = memory_mb(process), descriptors(process)
        for kind, counts in attack(url, count - count // 10, seed).items():
            statuses.setdefault(kind, Counter()).update(counts)
        statuses["slow sender"] = slow_senders(url, 100)
        until(lambda: descriptors(process) <= before[1], 10)  # connections are still closing
        after = memory_mb(process), descriptors(process)
        ready = is_ready(url)
    faults = sum(n for each in statuses.values() for status, n in each.items() if status >= "500")
    found = {
        "requests": count,
        "statuses": {kind: dict(counts) for kind, counts in sorted(statuses.items())},
        "faults": faults,
        "ready": ready,
        "memory_mb": [round(before[0], 1), round(after[0], 1)],
        "descriptors": [before[1], after[1]],
    }
    RESULT.write_text(json.dumps(found, indent=2) + "\n")
    typer.echo(json.dumps(found, indent=2))
    grown = after[0] - before[0] > _GROWTH_MB or after[1] - before[1] > CLIENTS
    raise typer.Exit(bool(faults or grown or not ready))


if __name__ == "__main__":
    typer.run(main)
