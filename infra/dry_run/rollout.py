"""The rolling deployment: a new service takes over once it is ready, and the old service drains."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Callable, Optional

from infra.dry_run.flow import StateError
from infra.dry_run.front import Front
from infra.dry_run.processes import Process

READY_S, DRAIN_S, END_S = 120.0, 30.0, 60.0


class Service:
    """A service process that answers on a free loopback port."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self._url = ""

    @property
    def port(self) -> int:
        return int(self._url.rpartition(":")[2])

    def ready(self) -> bool:
        """Whether /readyz answers 200."""
        found = re.search(r"ready: (http://127\.0\.0\.1:\d+)", self.process.said())
        self._url = found[1] if found else ""
        if not found:
            return False
        try:
            with urllib.request.urlopen(f"{self._url}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as error:
            error.close()
        except OSError:
            pass  # nothing listens yet
        return False


class Rollout:
    """The service behind the front address. `start` makes the process of the next service."""

    def __init__(self, front: Front, start: Callable[[], Process]) -> None:
        self._front, self._start = front, start
        self.live: Optional[Service] = None

    def deploy(self, ready_s: float = READY_S) -> None:
        """Raises StateError if the new service does not get ready; then the old one stays."""
        new = Service(self._start())
        try:
            new.process.until(new.ready, ready_s)
        except BaseException:
            new.process.kill()
            raise
        old, self.live = self.live, new
        before = self._front.switch(new.port)
        if old is None or before is None:
            return
        drained = self._front.drained(before, DRAIN_S)
        code = old.process.terminate(END_S)
        if not drained or code:
            raise StateError(f"the old service did not drain; {old.process.reason()}")


def service_command(code: Path) -> list[str]:
    """What the serving images start, on a free port."""
    return ["sh", str(code / "infra/containers/start.sh"), "--port", "0"]
