"""Workers of the sidecar in this process, and clients that see every frame."""

from __future__ import annotations

import io
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

import pytest

from depth.images.given import Held
from serve.jobs.stage import Asked
from serve.sidecar.connection import Connection, socket_ends
from serve.sidecar.frames import MAX_REPLY_BYTES, FrameReader, write_frame
from serve.sidecar.presets import ANY_PRESET, PresetMaker
from serve.sidecar.shared import SharedFiles
from serve.sidecar.values import Use, stub
from serve.sidecar.worker import Worker
from tests.support.commands import Ended, ended
from tests.support.hostile import encoded, picture

PNG = encoded(picture(12, 20), "PNG")
SIDECAR = (sys.executable, "-m", "serve", "sidecar")
STUB_WORKER = (*SIDECAR, "--no-model", "--worker", "--heartbeat-s", "0.1")

_OPEN: list[socket.socket] = []


class _Out(io.TextIOWrapper):
    """A stdout with bytes below, as of a process."""

    def __init__(self) -> None:
        self.data = io.BytesIO()
        super().__init__(self.data, encoding="utf-8", write_through=True)


def called(main: Callable[[], object], name: str, *words: object) -> Ended:
    """A one-shot command in this process."""
    out = _Out()
    with pytest.MonkeyPatch.context() as patch:

        def run() -> None:
            patch.setattr(sys, "stdout", out)
            main()

        found = ended(run, name, *words)
    return Ended(found.prefix, found.code, out.data.getvalue().decode(), found.err)


class Gate:
    """Makes stubs, each when it is let through: `begun` counts, `release` opens."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.release = threading.Semaphore(0)
        self.error: Optional[Exception] = None
        self.asked: list[Asked] = []

    def __call__(self, held: Held, asked: Asked, use: Use) -> None:
        self.asked.append(asked)
        self.begun.release()
        assert self.release.acquire(timeout=30)
        if self.error is not None:
            raise self.error
        stub(held, asked, use)


@dataclass
class Client:
    """A client's end of a connection."""

    end: socket.socket
    frames: FrameReader
    serving: threading.Thread
    result: list[bool]

    def send(self, header: Mapping[str, Any], payload: bytes = b"") -> None:
        write_frame(self.end.sendall, header, payload)

    def ask(self, name: str, payload: bytes = PNG, **options: Any) -> None:
        self.send({"type": "depth", "id": name, **options}, payload)

    def next(self, *kinds: str) -> tuple[dict[str, Any], bytes]:
        """The next frame of one of these types; by default of any but progress and heartbeat."""
        while True:
            head = self.frames.head()
            assert head is not None, "the worker has closed"
            assert isinstance(head.header, dict)
            payload = bytes(self.frames.payload(head))
            kind = head.header["type"]
            if kind in kinds or (not kinds and kind not in ("progress", "heartbeat")):
                return head.header, payload

    def ended(self) -> bool:
        """Whether the worker has closed, with nothing more to read."""
        try:
            return self.frames.head() is None
        except ConnectionResetError:  # it had not read all of what we sent
            return True

    def error(self) -> tuple[Any, str, str]:
        """Id, kind and message of the next error."""
        header, payload = self.next("error")
        assert payload == b""
        return header["id"], header["kind"], header["message"]

    def leave(self) -> bool:
        """Close, and return what the worker's `serve` returned."""
        self.end.close()
        self.serving.join(10)
        return self.result[0]


def connect(worker: Worker) -> Client:
    """A client that has not read the hello. Closed with a worker of `a_worker`."""
    ours, theirs = socket.socketpair()
    _OPEN.append(ours)
    ours.settimeout(20)
    result: list[bool] = []

    def serve() -> None:
        with theirs:
            result.append(worker.serve(Connection(socket_ends(theirs))))

    serving = threading.Thread(target=serve, daemon=True)
    serving.start()
    return Client(ours, FrameReader(ours.recv_into, MAX_REPLY_BYTES), serving, result)


@contextmanager
def a_worker(
    place: Path,
    make: Any = stub,
    threads: int = 2,
    queue: int = 4,
    heartbeat_s: float = 30.0,
    presets: PresetMaker = ANY_PRESET,
) -> Iterator[Worker]:
    """A worker whose shared files are in `place`; drained at the end."""
    with SharedFiles(place) as files:
        worker = Worker(make, {"model": "stub"}, threads, queue, heartbeat_s, files, (), presets)
        try:
            yield worker
            worker.drain()
        finally:
            while _OPEN:
                _OPEN.pop().close()
