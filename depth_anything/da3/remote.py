"""A scene by a backend that runs already: submitted to upstream's routes, and followed."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Optional
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

from depth.console import one_line
from depth.errors import DepthAnythingError, InputError

TIMEOUT_S = 30.0  # of one request, as upstream
_POLL_S = 0.5
_MAX_BYTES = 1 << 24
_PENDING, _RUNNING, _COMPLETED = "pending", "running", "completed"

Told = Callable[[str, float], None]  # the backend's message, and its progress 0..1


class BackendError(DepthAnythingError):
    """The backend does not answer, refuses a scene, or failed to make it."""


@dataclass(frozen=True)
class Backend:
    """Upstream's backend, or ours. Raises InputError for an address that is none.

    url    such as http://localhost:8008
    token  that its requests must carry; "" without one
    """

    url: str
    token: str = ""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"--backend-url {self.url!r}: expected http://HOST:PORT")

    def submit(self, body: dict[str, Any]) -> str:
        """Hand a scene in; returns the number of its task. Raises BackendError."""
        answer = self._ask("/inference", json.dumps(body).encode())
        if answer.get("success") is not True or not isinstance(answer.get("task_id"), str):
            raise BackendError(f"{self.url}: refused the scene: {_text(answer.get('message'))}")
        return str(answer["task_id"])

    def follow(self, task: str, told: Told) -> None:
        """Wait until a task ends. Raises BackendError if it fails or is cancelled."""
        while True:
            answer = self._ask(f"/task/{quote(task, safe='')}")
            status, message = answer.get("status"), _text(answer.get("message"))
            progress = answer.get("progress")
            told(message, float(progress) if isinstance(progress, (int, float)) else 0.0)
            if status == _COMPLETED:
                return
            if status not in (_PENDING, _RUNNING):
                raise BackendError(f"{self.url}: task {task} {_text(status)}: {message}")
            time.sleep(_POLL_S)

    def _ask(self, path: str, body: Optional[bytes] = None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"} if body else {}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request = Request(self.url.rstrip("/") + path, body, headers)
        try:
            with urlopen(request, timeout=TIMEOUT_S) as answer:
                found = json.loads(answer.read(_MAX_BYTES))
        except HTTPError as error:
            raise BackendError(
                f"{self.url}{path}: {error.code} {error.reason}: {_detail(error)}"
            ) from error
        except (URLError, OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise BackendError(
                f"{self.url}: no backend answers ({_text(reason)}); start it with "
                "`python main.py da3 backend`, or leave out --use-backend"
            ) from error
        except (ValueError, RecursionError) as error:
            raise BackendError(
                f"{self.url}{path}: the answer is no JSON: is it a backend?"
            ) from error
        if not isinstance(found, dict):
            raise BackendError(f"{self.url}{path}: the answer is no object: is it a backend?")
        return found


def _detail(error: HTTPError) -> str:
    """What a refusal says: FastAPI has it under `detail`."""
    try:
        found = json.loads(error.read(_MAX_BYTES))
        detail = found.get("detail", found)
        if isinstance(detail, list):
            detail = "; ".join(
                f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in detail[:5]
            )
        return _text(detail)
    except (ValueError, AttributeError, KeyError, TypeError, OSError, RecursionError):
        return "no reason given"


def _text(value: object) -> str:
    return one_line(str(value))[:500]
