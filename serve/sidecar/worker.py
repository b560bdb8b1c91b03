"""A worker that stays: requests of several clients, through one model, answered out of order."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from threading import Condition, Event, Thread
from typing import Any, Callable, Optional

from depth.errors import DepthAnythingError, InputError
from depth.images.given import Held
from serve.errors import ClosedError, OutOfServiceError, QueueFullError, ServeError
from serve.jobs.stage import Asked, ImageResult
from serve.sidecar.connection import Connection
from serve.sidecar.formats import SHM, Values, as_raw
from serve.sidecar.frames import MAX_REQUEST_BYTES, PROTOCOL, FrameError, Head, HeaderError
from serve.sidecar.presets import ANY_PRESET, PresetMaker
from serve.sidecar.replies import encoded, said
from serve.sidecar.requests import (
    CANCEL,
    DEPTH,
    PING,
    TYPES,
    DepthRequest,
    checked_id,
    depth_request,
)
from serve.sidecar.shared import SharedFiles
from serve.sidecar.values import Look, Use

logger = logging.getLogger(__name__)

Make = Callable[[Held, Asked, Use], None]  # calls `use` with the result of the image

MAX_CLIENTS = 16
CANCELLED = "CancelledError"  # the kind of the answer to a cancelled request
BEGUN, WRITING = "inference", "writing_output"  # what `progress` names
_MAX_HELD_BYTES = 5 * MAX_REQUEST_BYTES  # of images that were not decoded yet, of all clients
_GOODBYE_S = 10.0  # for a client to take its last answers
_REFUSED = (InputError, QueueFullError, ClosedError)
_OURS: tuple[type[Exception], ...] = (DepthAnythingError, ServeError)


@dataclass(eq=False)
class Job:
    """A request of a client. Its client knows whether it is answered."""

    client: Connection
    request: DepthRequest
    payload_bytes: int
    arrived_s: float = field(default_factory=time.monotonic)

    @property
    def is_open(self) -> bool:
        return self.client.is_open(self.request.id, self)

    def progress(self, stage: str, percent: int) -> None:
        if self.is_open:
            about = {"stage": stage, "percent": percent}
            self.client.send({"type": "progress", "id": self.request.id, **about})

    def answer(self, header: Mapping[str, Any], payload: Any = b"") -> bool:
        return self.client.answer(self.request.id, self, header, payload)


class Worker:
    """Answers the requests of clients. `serve` runs in several threads, a client in each.

    make         has the result of an image used, as `through` of a stage does
    facts        of the model, for `hello`
    threads      images that are worked on at once
    queue        requests that a client may have open
    heartbeat_s  between heartbeats to clients that wait
    files        for results in shared memory
    presets      makes the files of presets
    errors       whose text is for the client, besides those of depth/ and serve/
    """

    def __init__(
        self,
        make: Make,
        facts: Mapping[str, Any],
        threads: int,
        queue: int,
        heartbeat_s: float,
        files: SharedFiles,
        errors: tuple[type[Exception], ...] = (),
        presets: PresetMaker = ANY_PRESET,
    ) -> None:
        self._make = make
        self._facts = facts
        self._queue = queue
        self._heartbeat_s = heartbeat_s
        self._files = files
        self._ours = _OURS + errors
        self._presets = presets
        self._pool = ThreadPoolExecutor(threads, "sidecar")
        self._state = Condition()  # of the next four
        self._clients: set[Connection] = set()
        self._jobs = self._held_bytes = 0  # jobs that are taken and not done
        self._closing = False
        self.failure: Optional[Exception] = None  # why no further image can be worked on
        self._drained = Event()
        self.ended = Event()  # a client asked for the end, or there is a failure
        Thread(target=self._beat, name="sidecar-heartbeat", daemon=True).start()

    def serve(self, client: Connection) -> bool:
        """Answer a client until its stream ends. Returns False for bytes that were no frames."""
        problem: Optional[Exception] = None
        try:
            self._enter(client)
            for head in client.heads():
                self._take(client, head)
            self._wait_until(lambda: not client.has_open)
        except (FrameError, QueueFullError) as error:
            problem = error
            client.send(refusal(None, error))
        except OSError as error:
            logger.warning("a client is gone: %s", error)
        client.forget()
        client.finish()
        with self._state:
            self._clients.discard(client)
        self._files.remove(client.files)
        return problem is None

    def drain(self) -> None:
        """Take no more requests, answer those that are there, and say goodbye to the clients."""
        with self._state:
            self._closing = True
        self._wait_until(lambda: not self._jobs)
        self._pool.shutdown()
        for client in list(self._clients):
            client.send({"type": "bye"})
            client.finish(_GOODBYE_S)
        self._drained.set()

    def _enter(self, client: Connection) -> None:
        with self._state:
            if len(self._clients) >= MAX_CLIENTS:
                raise QueueFullError(f"{MAX_CLIENTS} clients are there already; try again later")
            self._clients.add(client)
        limits = {"queue": self._queue, "payload_bytes": MAX_REQUEST_BYTES}
        about = {"protocol": PROTOCOL, "pid": os.getpid(), "heartbeat_s": self._heartbeat_s}
        client.send({"type": "hello", **about, "limits": limits, **self._facts})

    def _take(self, client: Connection, head: Head) -> None:
        """Do what a frame asks for. Raises FrameError, OSError."""
        given = None if isinstance(head.header, HeaderError) else head.header.get("id")
        try:
            job = self._accepted(client, head)
        except _REFUSED as error:
            client.skip(head)
            client.send(refusal(given, error))
            return
        if job is None:
            client.skip(head)
            return
        try:
            held = job.request.image(client.payload(head))
            asked = job.request.asked(job.arrived_s)
        except InputError as error:
            self._done(job)
            job.answer(refusal(given, error))
        except BaseException:
            self._done(job)
            raise
        else:
            self._pool.submit(self._work, job, held, asked)

    def _accepted(self, client: Connection, head: Head) -> Optional[Job]:
        """A new job; None for a frame that asks for no image. Raises the errors of a refusal."""
        if isinstance(head.header, HeaderError):
            raise InputError(str(head.header))
        fields = dict(head.header)
        kind = fields.pop("type", None)
        if kind not in TYPES:
            raise InputError(f"a frame of type {kind!r:.100}: expected one of {', '.join(TYPES)}")
        if kind != DEPTH:
            self._control(client, kind, fields)
            return None
        job = Job(client, depth_request(fields), head.payload_bytes)
        if job.request.preset is not None:
            self._presets.check(job.request.preset)
        with self._state:
            if self._closing:
                raise ClosedError("the worker ends and takes no more requests")
            if job.payload_bytes + self._held_bytes > _MAX_HELD_BYTES:
                raise QueueFullError("the images that wait are too large together; try again later")
            client.begin(job.request.id, job, self._queue)
            self._jobs += 1
            self._held_bytes += job.payload_bytes
        return job

    def _control(self, client: Connection, kind: str, fields: Mapping[str, Any]) -> None:
        """Ping, cancel or shutdown. Raises InputError."""
        unknown = sorted(set(fields) - {"id"})
        if unknown:
            raise InputError(f"unknown field {', '.join(unknown):.100}: {kind} has only an id")
        if kind == PING:
            with self._state:
                client.send({"type": "pong", "id": fields.get("id"), "jobs": self._jobs})
        elif kind == CANCEL:
            name = checked_id(fields.get("id"))
            job = client.job_of(name)  # none: the answer is on its way
            if isinstance(job, Job):
                error = {"kind": CANCELLED, "message": "cancelled by the client", "retry": False}
                job.answer({"type": "error", **error})
        else:
            self.ended.set()

    def _work(self, job: Job, held: Held, asked: Asked) -> None:
        try:
            if not job.is_open:  # cancelled before it began
                return
            job.progress(BEGUN, 10)
            self._make(held, asked, partial(self._reply, job))
        except Exception as error:
            job.answer(refusal(None, error) if isinstance(error, self._ours) else _bug(error))
            if isinstance(error, OutOfServiceError):
                self.failure = error
                self.ended.set()
        finally:
            self._done(job)

    def _reply(self, job: Job, result: ImageResult, look: Look) -> None:
        if not job.is_open:  # cancelled while it ran
            return
        job.progress(WRITING, 90)
        request = job.request
        about = said(request, result, (time.monotonic() - job.arrived_s) * 1e3)
        if request.format != SHM:
            more, payload = encoded(request, result, look, self._presets)
            job.answer({**about, **more}, payload)
            return
        parts = [memoryview(part) for part in as_raw(Values.of(result, request.wanted))]
        path = self._files.write(parts)
        job.client.note_file(path)
        size_bytes = sum(part.nbytes for part in parts)
        if not job.answer({**about, "shm": {"path": str(path), "size_bytes": size_bytes}}):
            self._files.remove([path])

    def _done(self, job: Job) -> None:
        with self._state:
            self._jobs -= 1
            self._held_bytes -= job.payload_bytes
            self._state.notify_all()

    def _wait_until(self, true: Callable[[], bool]) -> None:
        with self._state:
            self._state.wait_for(true)

    def _beat(self) -> None:
        while not self._drained.wait(self._heartbeat_s):
            with self._state:
                waiting = [client for client in self._clients if client.waits]
                beat = {"type": "heartbeat", "jobs": self._jobs}
            for client in waiting:
                client.send(beat)


def refusal(name: object, error: Exception) -> dict[str, Any]:
    """The frame that says why something was not done. `retry`: it may work the next time."""
    said = {"type": "error", "kind": type(error).__name__, "message": str(error)[:4000]}
    retry = isinstance(error, (QueueFullError, ClosedError, OutOfServiceError))
    return {**said, "retry": retry, "id": name if isinstance(name, str) else None}


def _bug(error: Exception) -> dict[str, Any]:
    """The same of an error that nobody foresaw; the log has where it comes from."""
    logger.error("an error of the worker", exc_info=error)
    message = f"an error of the worker, see its log: {error!r:.300}"
    return {**refusal(None, error), "message": message}
