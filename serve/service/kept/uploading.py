"""Images of a form, written into the folder of an upload as they come."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import IO

from starlette.requests import Request

from serve.service.bodies import Bodies, check_not_packed
from serve.service.failures import RequestError
from serve.service.kept.folder import UPLOADS, Upload
from serve.service.uploads import Form, is_form, read_form

_TIMEOUTS = 20  # times the limit of one image's body
_MAX_TEXT_BYTES = 4_000_000  # of a field that is no file


async def uploaded(
    request: Request, bodies: Bodies, upload: Upload, field: str, max_files: int, max_bytes: int
) -> Form:
    """Write the files of the parts `field` as 00000, 00001, …; returns the form, its files closed.

    Raises RequestError for what is no such form (400, 415) or is too large or slow (413, 408), and
    QueueFullError if all uploads take too many bytes.
    """
    check_not_packed(request)
    if not is_form(request):
        raise RequestError(415, f"send multipart/form-data with files in the field {field!r}")

    async def counted() -> AsyncGenerator[bytes, None]:
        timeout_s = _TIMEOUTS * bodies.timeout_s
        async for chunk in bodies.chunks(request, max_bytes, timeout_s):
            upload.add(len(chunk))
            yield chunk

    def opened(number: int) -> IO[bytes]:
        return Path(upload.folder, UPLOADS, f"{number:05}").open("w+b")

    form = await read_form(request, counted(), field, max_files, opened, _MAX_TEXT_BYTES)
    for file in form.files:
        await file.close()
    return form
