"""A Python client of the sidecar's worker: this folder and `frames.py`, with numpy alone.

    command = ["python", "-m", "serve", "sidecar", "artifacts/NAME", "--worker"]
    with SidecarClient(command) as client:
        depth = client.depth("a.jpg").values

A worker that ends is started again, and the images without an answer are sent once more.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from threading import Lock, Thread
from typing import Any, Callable, Optional, Union

from serve.sidecar.python.answers import (
    Depth,
    Image,
    Pending,
    SidecarError,
    WorkerLostError,
    as_request,
    depth_of,
    remove_shared,
)
from serve.sidecar.python.workers import AnyWorker, SocketWorker, StartedWorker

_LOOK_EVERY_S = 0.2
_TIMES = 2  # that an image is sent at most
_FRUITLESS = 5  # workers in a row that ended before they answered anything


class SidecarClient(AbstractContextManager["SidecarClient"]):
    """Depth from a worker that this client starts, or that listens at a socket. Safe in any thread.

    command    starts a worker on stdin and stdout: it ends with --worker
    socket     of a worker that others start
    start_s    time for a worker to say hello: it loads its model before. Also how long a client
               waits for another worker at the socket
    silence_s  a worker that sends nothing for so long while it owes an answer is given up

    Raises WorkerLostError if there is no worker.
    """

    def __init__(
        self,
        command: Optional[Sequence[str]] = None,
        *,
        socket: Union[str, os.PathLike[str], None] = None,
        start_s: float = 300.0,
        silence_s: float = 60.0,
    ) -> None:
        if (command is None) == (socket is None):
            raise ValueError("expected either the command of a worker, or a socket")
        self._command, self._socket = command, socket
        self._start_s, self._silence_s = start_s, silence_s
        self._state = Lock()  # of the next four
        self._waiting: dict[str, Pending] = {}
        self._count = 0
        self._closed = ""  # why no image is taken any more
        self._fruitless = 0
        self._sending = Lock()  # one frame at a time, and of the next two
        self.hello: Mapping[str, Any] = {}
        self._worker: Optional[AnyWorker] = None
        self._use(self._connect())

    def depth(self, image: Image, timeout_s: Optional[float] = 300.0, **options: Any) -> Depth:
        """Depth of an image, as `submit(image, ...).result(timeout_s)`."""
        return self.submit(image, **options).result(timeout_s)

    def submit(
        self,
        image: Image,
        on_progress: Optional[Callable[[str, int], None]] = None,
        **options: Any,
    ) -> Pending:
        """Send an image: a path, bytes of a file, or uint8 [H,W,3] RGB. Does not wait for it.

        on_progress  called in another thread with a stage and a percentage
        options      format, values, output_size, focal_px, deadline_s, preset

        Raises WorkerLostError once closed.
        """
        header, payload = as_request(image)
        with self._state:
            if self._closed:
                raise WorkerLostError(self._closed)
            self._count += 1
            name = f"{os.getpid()}-{self._count}"
            asked = {"type": "depth", "id": name, **header, **options}
            pending = Pending(name, asked, payload, self._cancel, on_progress)
            self._waiting[name] = pending
        self._send_what_waits()
        return pending

    def close(self) -> None:
        """Wait for the answers that are owed, then end the worker, or leave the socket."""
        with self._state:
            self._closed = self._closed or "the client is closed"
            owed = list(self._waiting.values())
        for pending in owed:
            with suppress(SidecarError):
                pending.result(None)
        reading = None
        while reading is not self._reading:  # another worker may have been started meanwhile
            reading, worker = self._reading, self._worker
            if worker is not None:
                with self._sending:
                    worker.end_input()
                worker.end()
            reading.join()

    def __exit__(self, *_raised: object) -> None:
        self.close()

    def _cancel(self, pending: Pending) -> None:
        with self._state:
            if self._waiting.pop(pending.name, None) is None:
                return
        pending.settle(SidecarError("cancelled by the client", "CancelledError"))
        with self._sending, suppress(OSError):
            if pending.sent_to is self._worker is not None:
                self._worker.send({"type": "cancel", "id": pending.name})
        self._send_what_waits()

    def _send_what_waits(self) -> None:
        """Send images in their order, as many as the worker takes at once."""
        with self._sending:
            worker = self._worker
            if worker is None:  # a new one is being started
                return
            with self._state:
                waiting = list(self._waiting.values())
            sent = [each for each in waiting if each.sent_to is worker]
            # One of those that an earlier worker had may have ended it: these go alone.
            again = any(each.times_sent > (each.sent_to is worker) for each in waiting)
            room = max(0, (1 if again else self.hello["limits"]["queue"]) - len(sent))
            for pending in [each for each in waiting if each.sent_to is not worker][:room]:
                pending.sent_to, pending.times_sent = worker, pending.times_sent + 1
                with suppress(OSError):  # the thread that reads sees the end too
                    worker.send(pending.header, pending.payload)

    def _connect(self) -> AnyWorker:
        """A worker that has said hello. Raises WorkerLostError."""

        def too_long(silent_s: float) -> bool:
            return silent_s > self._start_s

        try:
            worker: AnyWorker = (
                StartedWorker(self._command, too_long)
                if self._command is not None
                else SocketWorker(os.fspath(self._socket or ""), too_long)
            )
        except OSError as error:
            raise WorkerLostError(f"no worker: {error}") from error
        reason = "it ended before it was ready"
        try:
            head = worker.incoming.frames.head()
            header = head.header if head and isinstance(head.header, Mapping) else {}
            if header.get("type") == "hello":
                self.hello = header
                return worker
            reason = header.get("message", reason)
        except (OSError, ValueError) as error:
            reason = str(error)
        worker.abandon()
        worker.end()
        worker.close()
        raise WorkerLostError(f"no worker: {reason}{worker.why()}")

    def _use(self, worker: AnyWorker) -> None:
        worker.incoming.too_long = lambda s: bool(self._waiting) and s > self._silence_s
        with self._sending:
            self._worker = worker
        self._reading = Thread(target=self._read, args=(worker,), daemon=True)
        self._reading.start()
        self._send_what_waits()

    def _read(self, worker: AnyWorker) -> None:
        """Answers of a worker until it ends; then another worker, if images have no answer."""
        reason, frames = "the worker ended", worker.incoming.frames
        try:
            while (head := frames.head()) is not None:
                payload = frames.payload(head)
                if isinstance(head.header, Mapping):
                    self._take(head.header, payload)
        except (OSError, ValueError, LookupError, TypeError) as error:
            reason = f"the worker is lost: {error}"
            worker.abandon()
        with self._sending:
            self._worker = None
        worker.end()
        worker.close()
        self._again(f"{reason}{worker.why()}")

    def _take(self, header: Mapping[str, Any], payload: bytearray) -> None:
        name, kind = header.get("id"), header.get("type")
        pending = self._waiting.get(name) if isinstance(name, str) else None
        if pending is None:
            remove_shared(header)
        elif kind == "progress":
            pending.progress(header["stage"], header["percent"])
        elif kind == "error":
            self._settle(pending, SidecarError(header["message"], header["kind"], header["retry"]))
        elif kind == "result":
            try:
                answer: Union[Depth, SidecarError] = depth_of(header, payload)
            except (OSError, ValueError) as error:
                answer = SidecarError(f"the answer cannot be read: {error}", "FrameError")
            self._settle(pending, answer)

    def _settle(self, pending: Pending, answer: Union[Depth, SidecarError]) -> None:
        with self._state:
            self._waiting.pop(pending.name, None)
            self._fruitless = 0
        pending.settle(answer)
        self._send_what_waits()

    def _again(self, reason: str) -> None:
        """Another worker for what has no answer. What was sent twice already fails."""
        self._fruitless += 1
        if self._fruitless >= _FRUITLESS:
            self._fail(f"{reason}; so did {_FRUITLESS} workers in a row")
        for pending in list(self._waiting.values()):
            if pending.times_sent >= _TIMES:
                self._drop(pending, WorkerLostError(f"{reason}; it was sent {_TIMES} times"))
        give_up_s = time.monotonic() + (0 if self._socket is None else self._start_s)
        while self._waiting or not self._closed:
            try:
                self._use(self._connect())
                return
            except WorkerLostError as error:
                if time.monotonic() >= give_up_s:
                    self._fail(f"{reason}; then {error}")
            time.sleep(_LOOK_EVERY_S)  # until others have started a worker at the socket

    def _fail(self, reason: str) -> None:
        """Take no more images, and answer all."""
        with self._state:
            self._closed = reason
        for pending in list(self._waiting.values()):
            self._drop(pending, WorkerLostError(reason))

    def _drop(self, pending: Pending, error: WorkerLostError) -> None:
        with self._state:
            self._waiting.pop(pending.name, None)
        pending.settle(error)
