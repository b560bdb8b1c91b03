"""moto's server, which compares signatures of requests whose query has a slash, as in a prefix.

moto decodes the query before it computes the signature again; the client signed it encoded.
moto looks at a put's condition and then stores it: here puts come one after another, or of two
clients that create the same object both would win.
The server ends when its stdin does, and so with the process that started it.
"""

from __future__ import annotations

import os
import sys
import threading
from urllib.parse import parse_qsl, quote, urlencode

from moto.iam.access_control import IAMRequestBase
from moto.s3.responses import S3Response
from moto.server import main

_request_of = IAMRequestBase._create_aws_request
_put, _putting = S3Response.put_object, threading.Lock()


def _encoded(self: IAMRequestBase) -> object:
    path, mark, query = self._path.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    self._path = path + mark + urlencode(pairs, quote_via=quote, safe="")
    return _request_of(self)


def _one_at_a_time(self: S3Response) -> object:
    with _putting:
        return _put(self)


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    IAMRequestBase._create_aws_request = _encoded
    S3Response.put_object = _one_at_a_time  # type: ignore[method-assign,assignment]
    main(sys.argv[1:])
