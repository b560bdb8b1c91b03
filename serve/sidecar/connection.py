"""One client of a worker: frames in by the thread that calls `read`, frames out by another."""

from __future__ import annotations

import logging
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from threading import Event, Lock, Thread
from typing import Any, Callable, Optional, Union

from depth.errors import InputError
from serve.errors import QueueFullError
from serve.sidecar.frames import (
    MAX_REQUEST_BYTES,
    FrameReader,
    Head,
    Payload,
    ReadInto,
    Write,
    write_frame,
)

logger = logging.getLogger(__name__)

SEND_TIMEOUT_S = 60  # a socket's client that takes nothing for so long is gone


@dataclass(frozen=True)
class Ends:
    """The two ends of a client's stream."""

    readinto: ReadInto
    write: Write
    close: Callable[[], None]  # wakes whoever reads, where that is possible


def pipe_ends(read_end: int, write_end: int) -> Ends:
    """A client at two file descriptors, such as stdin and stdout."""

    def write(data: Union[bytes, memoryview]) -> None:
        view = memoryview(data)
        while len(view):
            view = view[os.write(write_end, view) :]

    return Ends(lambda view: os.readv(read_end, [view]), write, lambda: os.close(write_end))


def socket_ends(accepted: socket.socket) -> Ends:
    """A client at a socket. A client that does not read is given up after a minute."""
    timeval = struct.pack("@ll", SEND_TIMEOUT_S, 0)
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)

    def close() -> None:
        with suppress(OSError):
            accepted.shutdown(socket.SHUT_RDWR)

    return Ends(accepted.recv_into, accepted.sendall, close)


class Connection:
    """Frames from and to one client. `send` never waits; frames leave in the order of the calls.

    lost   set once nothing is sent any more
    files  in shared memory that were made for the client
    """

    def __init__(self, ends: Ends) -> None:
        self.files: list[Path] = []
        self._open: dict[str, object] = {}
        self._opening = Lock()
        self._ends = ends
        self._reader = FrameReader(ends.readinto, MAX_REQUEST_BYTES)
        self._out: Queue[Optional[tuple[Mapping[str, Any], Payload]]] = Queue()
        self.lost = Event()
        self._writer = Thread(target=self._write, name="sidecar-writer", daemon=True)
        self._writer.start()

    def send(self, header: Mapping[str, Any], payload: Payload = b"") -> None:
        if not self.lost.is_set():
            self._out.put((header, payload))

    def begin(self, name: str, job: object, limit: int) -> None:
        """Note a request that is answered later.

        Raises InputError for the name of an open request, QueueFullError over the limit.
        """
        with self._opening:
            if name in self._open:
                raise InputError(f"id {name!r} is of a request that is not answered yet")
            if len(self._open) >= limit:
                raise QueueFullError(f"{limit} requests are open: wait for an answer")
            self._open[name] = job

    def answer(
        self, name: str, job: object, header: Mapping[str, Any], payload: Payload = b""
    ) -> bool:
        """Answer a request, unless it was answered before. Returns whether it was now."""
        with self._opening:
            if self._open.get(name) is not job:
                return False
            del self._open[name]
            self.send({**header, "id": name}, payload)
            return True

    def note_file(self, path: Path) -> None:
        """Note a file in shared memory, which goes with the client; forget those it has fetched."""
        with self._opening:
            self.files = [*(each for each in self.files if each.exists()), path]

    def is_open(self, name: str, job: object) -> bool:
        """Whether a request still waits for its answer."""
        return self._open.get(name) is job

    def job_of(self, name: str) -> Optional[object]:
        """The open request of this name."""
        return self._open.get(name)

    def forget(self) -> None:
        """Drop the open requests of a client that is gone."""
        with self._opening:
            self._open.clear()

    @property
    def has_open(self) -> bool:
        return bool(self._open)

    @property
    def waits(self) -> bool:
        """Whether the client waits for an answer, and nothing is being written."""
        return bool(self._open) and self._out.empty()

    def heads(self) -> Iterator[Head]:
        """The frames of the client. The caller reads or skips each payload.

        Raises FrameError for what is no frame, and OSError for a client that is gone.
        """
        while (head := self._reader.head()) is not None:
            yield head

    def payload(self, head: Head) -> bytearray:
        return self._reader.payload(head)

    def skip(self, head: Head) -> None:
        self._reader.skip(head)

    def finish(self, timeout_s: Optional[float] = None) -> None:
        """Write what was sent, then close."""
        self._out.put(None)
        self._writer.join(timeout_s)

    def _write(self) -> None:
        while (frame := self._out.get()) is not None and not self.lost.is_set():
            try:
                write_frame(self._ends.write, *frame)
            except OSError as error:
                logger.warning("a client is gone: %s", error)
                self.lost.set()
        self.lost.set()  # nothing is sent from now on
        with suppress(OSError):
            self._ends.close()
