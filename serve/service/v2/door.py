"""Whether a service answers gRPC too. Without gRPC, its packages need not be installed."""

from __future__ import annotations

import logging
from threading import Event
from typing import TYPE_CHECKING, Optional

from depth.errors import InputError
from serve.service.service import Service
from serve.service.v2.protocol import Protocol

if TYPE_CHECKING:
    from serve.service.v2.rpc.grpc import GrpcServer

logger = logging.getLogger(__name__)


class GrpcDoor:
    """The gRPC server of a service, or nothing if its settings name no port.

    Answers from the start, as HTTP does. Raises InputError as `GrpcServer`, and if the packages
    are not installed.
    """

    def __init__(self, service: Service) -> None:
        self._server: Optional[GrpcServer] = None
        self._stopped: Optional[Event] = None
        settings = service.settings
        if settings.grpc_port is None:
            return
        try:
            from serve.service.v2.rpc.grpc import GrpcServer
        except ImportError as error:
            raise InputError(
                f'--grpc-port needs {error.name}, which is not installed: pip install ".[grpc]"'
            ) from error
        self._server = GrpcServer(Protocol(service))
        self._server.start()
        logger.info("gRPC answers on %s:%d", settings.host, self._server.port)

    @property
    def port(self) -> Optional[int]:
        """The port that it has."""
        return None if self._server is None else self._server.port

    def begin_stop(self, grace_s: float) -> None:
        """Take no more calls. Those under way have `grace_s` to finish."""
        if self._server is not None:
            self._stopped = self._server.stop(grace_s)

    def close(self) -> None:
        """Wait until every call is done; without `begin_stop` before, all are ended at once."""
        if self._stopped is None:
            self.begin_stop(0.0)
        if self._server is not None and self._stopped is not None:
            self._stopped.wait()
            self._server.close()
