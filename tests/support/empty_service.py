"""A service that reads a body and sends bytes, and does nothing else: what HTTP itself takes here.

python -m tests.support.empty_service ANSWER_BYTES
"""

from __future__ import annotations

import socket
import sys
from typing import Any

import uvicorn

_PART_BYTES = 1 << 18


class Empty:
    """Answers every request with the same bytes, in parts as the real service sends them."""

    def __init__(self, size_bytes: int) -> None:
        self._answer = bytes(size_bytes)

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        length = b"%d" % len(self._answer)
        headers = [(b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for at in range(0, len(self._answer), _PART_BYTES):
            part = self._answer[at : at + _PART_BYTES]
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def main() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        sys.stderr.write(f"ready: http://127.0.0.1:{listener.getsockname()[1]}\n")
        sys.stderr.flush()
        app = Empty(int(sys.argv[1]))
        config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None, access_log=False)
        uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
