"""The worker of a Python client: a process that the client starts, or one behind a socket."""

from __future__ import annotations

import os
import select
import signal
import socket as sockets
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from threading import Lock, Thread
from typing import Any, Callable, Union

from serve.sidecar.frames import MAX_REPLY_BYTES, FrameError, FrameReader, Payload, write_frame

_LOOK_EVERY_S = 0.2
_ENDING_S = 2.0  # for a worker to end after SIGTERM
_STEPS = ((10.0, signal.SIGTERM), (_ENDING_S, signal.SIGKILL))  # after its stdin has ended


class Incoming:
    """The frames of a worker, and for how long it has sent nothing.

    too_long  gets the seconds of silence; if it returns True, reading raises FrameError
    """

    def __init__(self, descriptor: int, too_long: Callable[[float], bool]) -> None:
        self._descriptor = descriptor
        self._heard_s = time.monotonic()
        self.too_long = too_long
        self.frames = FrameReader(self._readinto, MAX_REPLY_BYTES)

    def _readinto(self, view: memoryview) -> int:
        while not select.select([self._descriptor], [], [], _LOOK_EVERY_S)[0]:
            silent_s = time.monotonic() - self._heard_s
            if self.too_long(silent_s):
                raise FrameError(f"nothing came for {silent_s:.1f} s")
        count = os.readv(self._descriptor, [view])
        self._heard_s = time.monotonic()
        return count


class StartedWorker:
    """A process with frames on stdin and stdout. Its stderr is read, and its last lines are kept.

    Raises OSError if the command cannot be run.
    """

    def __init__(self, command: Sequence[str], too_long: Callable[[float], bool]) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe)
        self._ending = Lock()
        self._lines: deque[str] = deque(maxlen=20)
        self._stderr = Thread(target=self._read_stderr, daemon=True)
        self._stderr.start()
        self.incoming = Incoming(self._process.stdout.fileno(), too_long)  # type: ignore[union-attr]

    def send(self, header: Mapping[str, Any], payload: Payload = b"") -> None:
        """Write a frame. Raises OSError once the worker is gone."""
        stdin = self._process.stdin
        if stdin is None or stdin.closed:
            raise BrokenPipeError("the worker's stdin is closed")

        def write(data: Union[bytes, memoryview]) -> None:
            view = memoryview(data)
            while len(view):
                view = view[os.write(stdin.fileno(), view) :]

        write_frame(write, header, payload)

    def end_input(self) -> None:
        """Let the worker answer what it has, and end."""
        with suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]

    def abandon(self) -> None:
        """End a process that hangs: whoever writes to it gets an OSError."""
        self._process.kill()

    def end(self) -> None:
        """Have the process end, and collect it."""
        with self._ending:
            self.end_input()
            for wait_s, next_step in _STEPS:
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(wait_s)
                    break
                self._process.send_signal(next_step)
            self._process.wait()
            self._stderr.join(_ENDING_S)

    def close(self) -> None:
        """Give the descriptor back, once nobody reads."""
        self._process.stdout.close()  # type: ignore[union-attr]

    def why(self) -> str:
        """How the process ended, and its last line on stderr."""
        code = self._process.returncode
        if code is None:
            return ""
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        last = f", its last line: {self._lines[-1]}" if self._lines else ""
        return f" ({how}{last})"

    def _read_stderr(self) -> None:
        with suppress(OSError, ValueError), self._process.stderr as stderr:  # type: ignore[union-attr]
            rest = b""
            while data := stderr.read(4096):
                *lines, rest = (rest + data)[-8192:].split(b"\n")
                self._lines.extend(line.decode("utf-8", "replace") for line in lines if line)


class SocketWorker:
    """A worker that listens at a Unix socket. Raises OSError if there is none."""

    def __init__(self, path: str, too_long: Callable[[float], bool]) -> None:
        self._socket = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
        try:
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise
        self.incoming = Incoming(self._socket.fileno(), too_long)

    def send(self, header: Mapping[str, Any], payload: Payload = b"") -> None:
        """Write a frame. Raises OSError once the worker is gone."""
        write_frame(self._socket.sendall, header, payload)

    def end_input(self) -> None:
        """Let the worker answer what it has, and close."""
        with suppress(OSError):
            self._socket.shutdown(sockets.SHUT_WR)

    def abandon(self) -> None:
        """Leave the worker, which stays."""
        self.end()

    def end(self) -> None:
        """The same."""
        with suppress(OSError):
            self._socket.shutdown(sockets.SHUT_RDWR)

    def close(self) -> None:
        """Give the descriptor back, once nobody reads."""
        self._socket.close()

    def why(self) -> str:
        """Nothing: the process is another's."""
        return ""


AnyWorker = Union[StartedWorker, SocketWorker]
