"""Runs a service until a signal: answers at once, is ready after warm-up, drains at the end."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Callable, Optional

import uvicorn
from fastapi import FastAPI

from depth.errors import InputError
from serve.jobs.memory import keep_freed_memory
from serve.service.app import application
from serve.service.asgi.connections import limited
from serve.service.model import Model
from serve.service.service import Service
from serve.service.settings import Settings
from serve.service.tls import tls_pair
from serve.service.v2.door import GrpcDoor

logger = logging.getLogger(__name__)

_BACKLOG = 1024
_KEEP_ALIVE_S = 20
_SWITCH_S = 0.0005  # that the event loop waits for a thread that works in Python; usually 5 ms

OnReady = Callable[[str], None]  # called in a thread, with the URL, once every model is ready


def run(
    service: Service,
    models: Sequence[Model],
    on_ready: OnReady,
    make: Callable[[Service], FastAPI] = application,
) -> None:
    """Serve `models` until SIGTERM or SIGINT; then finish what was accepted. For the main thread.

    make  the application of the service

    Raises InputError if the address cannot be had or the files of TLS cannot be used, and what
    loading a model raises.
    """
    keep_freed_memory()
    sys.setswitchinterval(_SWITCH_S)
    asyncio.run(_serve(service, models, on_ready, make(service)))


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves signals to us: its own way ends the process by the signal."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(
    service: Service, models: Sequence[Model], on_ready: OnReady, app: FastAPI
) -> None:
    settings = service.settings
    tls_pair(settings)
    with _listening(settings) as listener:
        port = listener.getsockname()[1]
        server = _Server(_config(service, app))
        calls = GrpcDoor(service)
        stop_on_signals(service, server, calls)
        loading = _Loading(service, models, server)
        scheme = "http" if settings.tls_certificate is None else "https"
        loading.start(lambda: on_ready(f"{scheme}://{_printed(settings.host)}:{port}"))
        await server.serve([listener])
    await asyncio.to_thread(calls.close)
    await asyncio.to_thread(service.close)
    if loading.failed is not None:
        raise loading.failed


def _config(service: Service, app: FastAPI) -> uvicorn.Config:
    settings = service.settings
    return uvicorn.Config(
        app,
        http=limited(settings.body_timeout_s, settings.max_connections),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=round(settings.drain_s),
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )


def stop_on_signals(service: Service, server: uvicorn.Server, calls: GrpcDoor) -> None:
    """SIGTERM and SIGINT drain; a second signal ends at once."""

    def stop() -> None:
        server.force_exit = service.draining
        calls.begin_stop(0.0 if service.draining else service.settings.drain_s)
        service.draining = server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)


class _Loading:
    """Loads the models in a thread, so that the service can say meanwhile that it is not ready."""

    def __init__(self, service: Service, models: Sequence[Model], server: uvicorn.Server) -> None:
        self.failed: Optional[Exception] = None
        self._service, self._models, self._server = service, models, server

    def start(self, on_ready: Callable[[], None]) -> None:
        threading.Thread(target=self._load, args=[on_ready], name="loading", daemon=True).start()

    def _load(self, on_ready: Callable[[], None]) -> None:
        try:
            for model in self._models:
                self._service.models.put(model)
                model.warm_up()
            self._service.repository.load_all()
            self._service.start()
            on_ready()
        except Exception as error:  # raised again by the main thread
            self.failed = error
            self._server.should_exit = True


def _listening(settings: Settings) -> socket.socket:
    """A socket that listens. Raises InputError if the address cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio turns Nagle's wait of 40 ms off only for sockets that name their protocol.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(_BACKLOG)  # before it is said to be ready
    except (OSError, UnicodeError) as error:
        listener.close()
        raise InputError(
            f"{settings.host}:{settings.port} cannot be listened on ({error}); name another with "
            "--host or --port, or find what has the port with `ss -ltnp`"
        ) from error
    return listener


def _printed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
