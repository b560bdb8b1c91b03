"""A model hub with one small file on a loopback port, which can misbehave as told."""

from __future__ import annotations

import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Optional

from depth.weights.registry import APACHE, PublishedFile

WEIGHTS = bytes(range(256)) * 64
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
FILE = PublishedFile("tiny", "owner/tiny", "tiny.pth", "a" * 40, SHA256, len(WEIGHTS), APACHE)


class Hub(ThreadingHTTPServer):
    """A model hub with one file. It claims the etag of WEIGHTS whatever it sends."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = WEIGHTS
        self.cut_at_byte: Optional[int] = None  # stop there, having promised the whole body
        self.hang_up = threading.Event()  # when to close the connection after such a stop
        self.hang_up.set()
        self.status = 200
        self.requests: list[str] = []  # "HEAD", "GET", "GET bytes=100-"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_HEAD(self) -> None:
        self.answer(len(WEIGHTS), 0)

    def do_GET(self) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(wanted[1]) if wanted else 0
        body = self.server.body
        if self.answer(len(body) - start, start):
            self.wfile.write(body[start : self.server.cut_at_byte])
        self.server.hang_up.wait(timeout=20)
        self.close_connection = self.server.cut_at_byte is not None

    def answer(self, length_bytes: int, start: int) -> bool:
        hub = self.server
        hub.requests.append(f"{self.command} {self.headers.get('Range', '')}".strip())
        path = f"{FILE.repository}/resolve/{FILE.revision}"
        known = self.path in (
            f"/{path}/{FILE.filename}",
            f"/spaces/{path}/sub/{FILE.filename}",
            f"/{FILE.repository}/releases/download/{FILE.revision}/{FILE.filename}",
        )
        status = hub.status if known else 404
        if length_bytes <= 0:
            status = 416  # as real servers answer who asks for bytes beyond the end
        found = status == 200
        self.send_response(206 if found and start else status)
        if found:
            self.send_header("ETag", f'"{SHA256}"')
            self.send_header("X-Repo-Commit", FILE.revision)
            self.send_header("X-Linked-Size", str(len(WEIGHTS)))
        if found and start:
            end = start + length_bytes
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{end}")
        self.send_header("Content-Length", str(length_bytes if found else 0))
        self.end_headers()
        return found

    def log_message(self, *args: Any) -> None:
        """Stay quiet."""
