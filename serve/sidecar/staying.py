"""A worker's process: its model, its doors (stdin and stdout, a Unix socket), and its end."""

from __future__ import annotations

import logging
import os
import socket as sockets
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any, Optional

from depth.command import FAILED
from depth.family import RELATIVE_INVERSE
from serve.jobs.memory import keep_freed_memory
from serve.jobs.stage import Stage
from serve.jobs.stop import Stop, stop_on_signals
from serve.sidecar.connection import Connection, Ends, pipe_ends, socket_ends
from serve.sidecar.formats import FORMATS
from serve.sidecar.listening import listening
from serve.sidecar.models import Finders, Wanted
from serve.sidecar.presets import PresetMaker, presets_of
from serve.sidecar.shared import SharedFiles
from serve.sidecar.values import STUB, stub, with_look
from serve.sidecar.worker import Make, Worker

logger = logging.getLogger(__name__)

_POLL_S = 0.1  # how often the end is looked for
_STUB_THREADS = 2


@dataclass(frozen=True)
class Doors:
    """Where clients come in."""

    stdio: bool
    socket: Optional[Path]


class _End:
    """The end of a worker by its stdin, and the exit code."""

    def __init__(self) -> None:
        self.came = Event()
        self.code = 0

    def come(self, code: int) -> None:
        self.code = code
        self.came.set()


def stay(
    find: Optional[Finders], wanted: Wanted, doors: Doors, queue: int, heartbeat_s: float
) -> int:
    """Answer clients until stdin ends, a client or a signal asks for the end, or a chip fails.

    find  what finds the model; without it, the stub's gradient

    Returns the exit code. Raises the errors of the model, and of a socket that cannot be had.
    """
    keep_freed_memory()
    stop = Stop()
    with stop_on_signals(stop), ExitStack() as stack:
        ends = _own_stdio() if doors.stdio else None
        server = stack.enter_context(listening(doors.socket)) if doors.socket else None
        make, facts, threads, presets = _model(find, wanted, stack)
        files = stack.enter_context(SharedFiles())
        facts["formats"] = list(FORMATS)
        errors = find.errors if find else ()
        worker = Worker(make, facts, threads, queue, heartbeat_s, files, errors, presets)
        end = _End()
        if ends:
            _start(_serve_stdio, worker, ends, end, server is not None)
        if server:
            _start(_accept, worker, server)
        while not (end.came.wait(_POLL_S) or worker.ended.is_set() or stop.requested()):
            pass
        worker.drain()
        if worker.failure:
            return int(getattr(worker.failure, "exit_code", FAILED))
        return end.code


def _model(
    find: Optional[Finders], wanted: Wanted, stack: ExitStack
) -> tuple[Make, dict[str, Any], int, PresetMaker]:
    """What makes results, the model's facts, how many images at once, and what makes presets.

    Programs that are there have run before this returns.
    """
    if find is None:
        logger.warning("warning: a stub was asked for: gradients, and no depth")
        presets = PresetMaker(RELATIVE_INVERSE)
        return stub, {"model": STUB, "stub": True}, _STUB_THREADS, presets
    stage = find.stage(wanted)
    stack.callback(stage.close)
    library = stage.engine.library
    facts: dict[str, Any] = {"model": None, "licence": None}
    if library.sizes:
        stage.warm_up()
    if library.sizes:
        m = library.any_artifact().manifest
        facts = {"model": m.model, "licence": m.checkpoint.licence}
    return _through(stage), facts, stage.images_at_once(), presets_of(stage.engine)


def _through(stage: Stage) -> Make:
    return lambda held, asked, use: stage.through(held, asked, with_look(use))


def _own_stdio() -> Ends:
    """The process's stdin and stdout for frames alone: what else prints goes to stderr."""
    ends = pipe_ends(os.dup(0), os.dup(1))
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return ends


def _serve_stdio(worker: Worker, ends: Ends, end: _End, has_socket: bool) -> None:
    if worker.serve(Connection(ends)):
        end.come(0)
        return
    logger.warning("stdin: these are no frames; nothing more is read there")
    if not has_socket:
        end.come(FAILED)


def _accept(worker: Worker, server: sockets.socket) -> None:
    with suppress(OSError):  # it is closed at the end
        while True:
            accepted, _ = server.accept()
            _start(_serve_socket, worker, accepted)


def _serve_socket(worker: Worker, accepted: sockets.socket) -> None:
    with accepted:
        worker.serve(Connection(socket_ends(accepted)))


def _start(work: Callable[..., None], *arguments: Any) -> None:
    Thread(target=work, args=arguments, daemon=True).start()
