"""What an error means to a caller of the service: one table for HTTP, gRPC and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from depth.errors import DepthAnythingError, ImageError, InputError
from serve.errors import (
    ClosedError,
    ExpiredError,
    NoProgramError,
    OutOfServiceError,
    ProgramError,
    QueueFullError,
    ServeError,
)
from serve.service.kept.folder import UnknownJobError
from serve.service.models import NotReadyError, UnknownModelError
from serve.service.v2.repository import LoadError


class RequestError(ServeError):
    """A request that HTTP itself refuses.

    headers  further headers of the answer
    detail   of the answer, for callers that look there
    """

    def __init__(
        self,
        status: int,
        message: str,
        headers: Optional[Mapping[str, str]] = None,
        detail: Any = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.detail = detail


@dataclass(frozen=True)
class Failure:
    """An error as the caller gets it.

    status         of HTTP
    grpc           name of the status of gRPC
    kind           class name of the error
    message        says what to do
    retry_after_s  when trying again may help; None if it will not
    headers        of HTTP, besides Retry-After
    """

    status: int
    grpc: str
    kind: str
    message: str
    retry_after_s: Optional[int] = None
    headers: Mapping[str, str] = field(default_factory=dict)


# The first that fits: HTTP status, gRPC status, seconds until trying again may help.
_TABLE: tuple[tuple[type[Exception], int, str, Optional[int]], ...] = (
    (QueueFullError, 429, "RESOURCE_EXHAUSTED", 1),
    (UnknownModelError, 404, "NOT_FOUND", None),
    (UnknownJobError, 404, "NOT_FOUND", None),
    (NotReadyError, 503, "UNAVAILABLE", 5),
    (LoadError, 503, "UNAVAILABLE", 30),
    (ClosedError, 503, "UNAVAILABLE", 5),
    (OutOfServiceError, 503, "UNAVAILABLE", 30),
    (ExpiredError, 504, "DEADLINE_EXCEEDED", None),
    (ImageError, 400, "INVALID_ARGUMENT", None),
    (InputError, 400, "INVALID_ARGUMENT", None),
    (NoProgramError, 400, "INVALID_ARGUMENT", None),
    (ProgramError, 500, "INTERNAL", None),
)
_BY_STATUS = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
}


def failure_of(error: BaseException) -> Failure:
    """How a caller gets an error. Its own `retry_after_s` goes before the table's.

    The text of an error that is not ours stays in the log: it may say what no caller may know.
    """
    kind = type(error).__name__
    if isinstance(error, RequestError):
        grpc = _BY_STATUS.get(error.status, "INVALID_ARGUMENT")
        return Failure(error.status, grpc, kind, str(error), headers=error.headers)
    for known, status, grpc, after_s in _TABLE:
        if isinstance(error, known):
            after_s = getattr(error, "retry_after_s", None) or after_s
            return Failure(status, grpc, kind, str(error), after_s)
    if isinstance(error, (DepthAnythingError, ServeError)):
        return Failure(500, "INTERNAL", kind, str(error))
    return Failure(500, "INTERNAL", "InternalError", "a fault of the service; its log has more")
