"""The front address: hands each connection to one of the services, as a load balancer does."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Optional

CHUNK_BYTES = 1 << 16


class Front(ThreadingTCPServer):
    """Listens on a free loopback port. A connection goes to the port that `switch` named last."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self._lock = threading.Condition()
        self._open: Counter[int] = Counter()
        self._port: Optional[int] = None
        self._thread = threading.Thread(target=self.serve_forever, args=[0.05], daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def switch(self, port: int) -> Optional[int]:
        """New connections go to this port; returns the port before. Open connections stay."""
        with self._lock:
            before, self._port = self._port, port
        return before

    def drained(self, port: int, wait_s: float) -> bool:
        """Whether the last connection to a port closes in time."""
        end = time.monotonic() + wait_s
        with self._lock:
            return self._lock.wait_for(lambda: not self._open[port], end - time.monotonic())

    @contextmanager
    def connection(self) -> Iterator[Optional[int]]:
        """The port that a new connection goes to, counted until the connection is over."""
        with self._lock:
            port = self._port
            if port is not None:
                self._open[port] += 1
        try:
            yield port
        finally:
            with self._lock:
                if port is not None:
                    self._open[port] -= 1
                self._lock.notify_all()

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Connection(BaseRequestHandler):
    server: Front

    def handle(self) -> None:
        with self.server.connection() as port:
            if port is None:
                return
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=10) as service:
                    service.settimeout(None)
                    _pass_on(self.request, service)
            except OSError:
                return  # a side has gone: the other sees the end of the connection


def _pass_on(caller: socket.socket, service: socket.socket) -> None:
    """Copy bytes both ways until both sides, or the service, have ended."""
    sides = {caller.fileno(): (caller, service), service.fileno(): (service, caller)}
    with selectors.DefaultSelector() as selector:
        for number in sides:
            selector.register(number, selectors.EVENT_READ)
        while service.fileno() in {key.fd for key in selector.get_map().values()}:
            for key, _ in selector.select():
                side, other = sides[key.fd]
                data = side.recv(CHUNK_BYTES)
                if data:
                    other.sendall(data)
                else:
                    selector.unregister(key.fd)
                    other.shutdown(socket.SHUT_WR)
