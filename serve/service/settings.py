"""What the operator of a service decides: addresses, limits, secrets."""

from __future__ import annotations

import ipaddress
import resource
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from depth.errors import InputError
from depth.images.read import MAX_FILE_BYTES

MIN_TOKEN = 16  # characters
_MOST_CONNECTIONS = 1000


def _connections() -> int:
    """Half of the open files that the process may have."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, min(_MOST_CONNECTIONS, files // 2))


@dataclass(frozen=True)
class Settings:
    """Settings of a service.

    host, port    where HTTP is answered; port 0 takes a free one
    queue         requests of a model that may wait for a thread; further ones get 429
    max_body_bytes    of one request
    held_bytes        of all bodies in memory together; further ones get 429
    body_timeout_s    for a body to arrive whole, and for headers
    deadline_s        of a request that names none: the network has to begin by then
    drain_s           for accepted requests to finish after SIGTERM
    samples           folder of images that the page offers; None: it offers none
    token             that requests have to carry; None: no request needs a token
    no_token          the operator wants a service without a token in a network
    allow_hosts       host names that callers may use; besides them this machine's own
    max_connections   at a time; by default as many as the limit on open files allows, at most 1000
    tls_certificate, tls_key  PEM files; both or none
    jobs              folder that keeps batch jobs; None: the service takes none
    gallery           folder of scenes that are shown; None: there is no gallery

    Raises InputError for what no service can have, or none should.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    queue: int = 32
    max_body_bytes: int = MAX_FILE_BYTES
    held_bytes: int = 1_000_000_000
    body_timeout_s: float = 30.0
    deadline_s: float = 60.0
    drain_s: float = 60.0
    model_control: bool = False
    grpc_port: Optional[int] = None
    grpc_message_bytes: int = 64_000_000
    samples: Optional[Path] = None
    token: Optional[str] = None
    tls_certificate: Optional[Path] = None
    tls_key: Optional[Path] = None
    no_token: bool = False
    allow_hosts: tuple[str, ...] = ()
    max_connections: int = field(default_factory=_connections)
    jobs: Optional[Path] = None
    gallery: Optional[Path] = None

    def __post_init__(self) -> None:
        above_0 = ("body_timeout_s", "deadline_s", "drain_s", "max_body_bytes", "held_bytes")
        for name in (*above_0, "max_connections"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)}: must be above 0")
        if self.queue < 0:
            raise InputError(f"queue is {self.queue}: must be 0 or more")
        for port in (self.port, self.grpc_port or 0):
            if not 0 <= port < 1 << 16:
                raise InputError(f"port is {port}: expected 0 to 65535")
        if self.token is not None and len(self.token) < MIN_TOKEN:
            raise InputError(
                f"the token has {len(self.token)} characters: expected {MIN_TOKEN} or more; make "
                "one with `openssl rand -hex 32`"
            )
        if self.token is not None and not (self.token.isascii() and self.token.isprintable()):
            raise InputError("the token has characters that no header can carry: use ASCII")
        if not (self.on_loopback or self.token or self.no_token):
            raise InputError(
                f"{self.host} can be reached from other machines: set a token, or say --no-token "
                "if the network itself keeps strangers out"
            )
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise InputError("TLS needs a certificate and its key: give both files")

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        return is_loopback(self.host)


def is_loopback(name: str) -> bool:
    """Whether a host name or address is this machine's own."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
