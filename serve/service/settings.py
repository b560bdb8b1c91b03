"""What the operator of a service decides: addresses, limits, secrets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from depth.errors import InputError
from depth.images.read import MAX_FILE_BYTES


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
    token             that requests have to carry; None: no request needs a token

    Raises InputError for numbers that no service can have.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    queue: int = 32
    max_body_bytes: int = MAX_FILE_BYTES
    held_bytes: int = 1_000_000_000
    body_timeout_s: float = 30.0
    deadline_s: float = 60.0
    drain_s: float = 60.0
    token: Optional[str] = None
    tls_certificate: Optional[Path] = None
    tls_key: Optional[Path] = None

    def __post_init__(self) -> None:
        for name in ("body_timeout_s", "deadline_s", "drain_s", "max_body_bytes", "held_bytes"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)}: must be above 0")
        if self.queue < 0:
            raise InputError(f"queue is {self.queue}: must be 0 or more")
        if not 0 <= self.port < 1 << 16:
            raise InputError(f"port is {self.port}: expected 0 to 65535")
