"""S3 servers that are not as AWS: one that refuses checksums, and one that never answers."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_REFUSED = ("x-amz-checksum-", "x-amz-sdk-checksum-")
_REFUSAL = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>%s</Code><Message>Unsupported header</Message></Error>"""


@contextmanager
def refusing_checksums(behind: str, code: str) -> Iterator[tuple[str, list[str]]]:
    """A server before the one at `behind`: its URL, and a list of the methods that it refused.

    It answers 400 to a PUT or POST with a header of checksums. `code`: S3's name for the refusal.
    """
    refused: list[str] = []
    host = urlsplit(behind).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:  # noqa: N802
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            names = [name.lower() for name in self.headers]
            if self.command in ("PUT", "POST") and any(n.startswith(_REFUSED) for n in names):
                refused.append(self.command)
                self._answer(400, {"Content-Type": "application/xml"}, _REFUSAL % code.encode())
                return
            back = http.client.HTTPConnection(host)
            back.request(self.command, self.path, body, dict(self.headers))
            found = back.getresponse()
            self._answer(found.status, dict(found.getheaders()), found.read())
            back.close()

        do_GET = do_HEAD = do_POST = do_DELETE = do_PUT  # noqa: N815

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
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
            yield f"http://127.0.0.1:{server.server_port}", refused
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
