"""HTTP over a bare socket: requests that no client would send."""

from __future__ import annotations

import socket
from contextlib import suppress
from urllib.parse import urlsplit


def address_of(url: str) -> tuple[str, int]:
    """Host and port."""
    parts = urlsplit(url)
    return str(parts.hostname), int(parts.port or 0)


def connect(url: str, timeout_s: float = 20.0) -> socket.socket:
    return socket.create_connection(address_of(url), timeout_s)


def post(body: bytes, path: str = "/v1/depth", *headers: str, length: int = -1) -> bytes:
    """A request of HTTP/1.1; `length` may lie."""
    size = len(body) if length < 0 else length
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {size}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def answer(connection: socket.socket) -> tuple[int, bytes]:
    """Status and body of the next answer; (0, b"") if the connection ends."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = _received(connection)
        if not part:
            return 0, b""
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length")
    )
    while len(body) < length:
        part = _received(connection)
        if not part:
            return 0, b""
        body += part
    return int(head.split()[1]), body


def exchanged(url: str, sent: bytes, timeout_s: float = 20.0) -> tuple[int, bytes]:
    """What a service answers on a new connection."""
    with connect(url, timeout_s) as connection:
        with suppress(OSError):  # it may have answered and closed already
            connection.sendall(sent)
        return answer(connection)


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1 << 16)
    except ConnectionError:
        return b""
