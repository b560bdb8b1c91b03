"""Files in a body of multipart/form-data, within limits on parts, their headers and bytes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Callable, NamedTuple

from python_multipart.exceptions import FormParserError
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from serve.service.failures import RequestError

_MAX_HEADER_BYTES = 16_000  # of one part
_MAX_FIELDS = 20  # parts that are no files
_MAX_FIELD_BYTES = 100_000


def is_form(request: Request) -> bool:
    """Whether the body is multipart/form-data."""
    return _media_type(request) == "multipart/form-data"


def check_is_image(request: Request) -> None:
    """Refuse media types that are no image's. Raises RequestError: 415."""
    media_type = _media_type(request)
    kind = media_type.partition("/")[0]
    if media_type == "application/json" or kind in ("multipart", "message"):
        raise RequestError(
            415,
            f"Content-Type: {media_type[:100]!r}: send the image file itself, or "
            "multipart/form-data with the file in the field 'image'",
        )


async def read_form(
    request: Request,
    chunks: AsyncGenerator[bytes, None],
    field: str,
    max_files: int,
    opened: Callable[[int], IO[bytes]],
    max_text_bytes: int = _MAX_FIELD_BYTES,
) -> Form:
    """The files in the parts of name `field`, which the caller closes, and the other fields.

    opened          makes the file that receives the n-th upload
    max_text_bytes  of each part that is no file

    Raises RequestError (400) for a body that is no form, has other files, no file or too many, and
    what `chunks` raises.
    """
    parser = _Parser(request.headers, chunks, max_files, opened, max_text_bytes)
    try:
        found = (await parser.parse()).multi_items()
    except (MultiPartException, FormParserError) as error:
        parser.close()
        said = getattr(error, "message", "") or str(error)
        raise RequestError(400, f"multipart/form-data: {said[:200]}") from error
    except BaseException:
        parser.close()
        raise
    files = [file for _, file in found if isinstance(file, UploadFile)]
    others = {name for name, file in found if isinstance(file, UploadFile) and name != field}
    if others or not files or not parser.ended:
        parser.close()
        said = "it ends before its last boundary" if files and not others else "expected a file"
        raise RequestError(400, f"multipart/form-data: {said}; send files in the field {field!r}")
    texts = {name: text for name, text in found if isinstance(text, str)}
    return Form(files, texts)


class Form(NamedTuple):
    """The files of a form, and its fields that are no files."""

    files: list[UploadFile]
    texts: dict[str, str]


class _Parser(MultiPartParser):
    """Starlette's parser, with a limit on headers, and files that the caller opens."""

    def __init__(
        self,
        headers: Headers,
        chunks: AsyncGenerator[bytes, None],
        max_files: int,
        opened: Callable[[int], IO[bytes]],
        max_text_bytes: int,
    ) -> None:
        super().__init__(
            headers,
            chunks,
            max_files=max_files,
            max_fields=_MAX_FIELDS,
            max_part_size=max_text_bytes,
        )
        self.ended = False
        self._opened = opened
        self._header_bytes = 0

    def on_part_begin(self) -> None:
        super().on_part_begin()
        self._header_bytes = 0

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        super().on_header_field(data, start, end)

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        super().on_header_value(data, start, end)

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        upload = self._current_part.file
        if upload is not None:
            upload.file.close()
            file: Any = self._opened(self._current_files - 1)
            self._files_to_close_on_error.append(file)
            upload.file = file

    def on_end(self) -> None:
        self.ended = True

    def close(self) -> None:
        """Close every file."""
        for file in self._files_to_close_on_error:
            file.close()

    def _count(self, size_bytes: int) -> None:
        self._header_bytes += size_bytes
        if self._header_bytes > _MAX_HEADER_BYTES:
            raise MultiPartException(f"headers of a part are over {_MAX_HEADER_BYTES} bytes")


def in_memory(_number: int) -> IO[bytes]:
    """A file that never goes to a disk, for uploads that count as held."""
    file: Any = SpooledTemporaryFile(max_size=0)  # noqa: SIM115 - 0: it never rolls over
    return file


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
