"""S3 servers that are not as AWS: they refuse checksums, ignore conditions, or never answer."""

from __future__ import annotations

import http.client
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Callable
from urllib.parse import urlsplit

_REFUSED = ("x-amz-checksum-", "x-amz-sdk-checksum-")
_REFUSAL = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>%s</Code><Message>Unsupported header</Message></Error>"""


Headers = dict[str, str]


@contextmanager
def refusing_checksums(behind: str, code: str) -> Iterator[tuple[str, list[str]]]:
    """A server before the one at `behind`: its URL, and a list of the methods that it refused.

    It answers 400 to a PUT or POST with a header of checksums. `code`: S3's name for the refusal.
    """
    refused: list[str] = []

    def refusal(method: str, _path: str, headers: Headers) -> bytes:
        if method in ("PUT", "POST") and any(n.lower().startswith(_REFUSED) for n in headers):
            refused.append(method)
            return _REFUSAL % code.encode()
        return b""

    with _before(behind, refusal) as url:
        yield url, refused


@contextmanager
def ignoring_conditions(behind: str) -> Iterator[str]:
    """The URL of a server before the one at `behind` that takes conditions and ignores them."""

    def drop(_method: str, _path: str, headers: Headers) -> bytes:
        for name in [name for name in headers if name.lower() in ("if-none-match", "if-match")]:
            del headers[name]
        return b""

    with _before(behind, drop) as url:
        yield url


@contextmanager
def counting(behind: str) -> Iterator[tuple[str, Counter[str]]]:
    """The URL of a server before the one at `behind`, and how often each path was read."""
    read: Counter[str] = Counter()

    def count(method: str, path: str, _headers: Headers) -> bytes:
        read.update([urlsplit(path).path] if method == "GET" else [])
        return b""

    with _before(behind, count) as url:
        yield url, read


@contextmanager
def _before(behind: str, look: Callable[[str, str, Headers], bytes]) -> Iterator[str]:
    """A server that passes requests on. `look` may change headers, or refuse with a body."""
    host = urlsplit(behind).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:  # noqa: N802
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = dict(self.headers)
            refusal = look(self.command, self.path, headers)
            if refusal:
                self._answer(400, {"Content-Type": "application/xml"}, refusal)
                return
            back = http.client.HTTPConnection(host)
            back.request(self.command, self.path, body, headers)
            found = back.getresponse()
            self._answer(found.status, dict(found.getheaders()), found.read())
            back.close()

        do_GET = do_HEAD = do_POST = do_DELETE = do_PUT  # noqa: N815

        def _answer(self, status: int, headers: Headers, body: bytes) -> None:
            self.send_response_only(status)
            if self.command != "HEAD":
                headers["Content-Length"] = str(len(body))
            for name, value in headers.items():
                if name.lower() not in ("connection", "transfer-encoding"):
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def silent() -> Iterator[str]:
    """The URL of a server that takes connections and says nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
