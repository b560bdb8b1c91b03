"""Processes that are started here, each with its children in a group that can be ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Callable, Optional

from infra.dry_run.flow import CODE, StateError

# Of whoever starts the dry run: nothing of these may reach what it runs.
_PREFIXES = ("AWS_", "DEPTH_", "NEURON_", "PYTHON")


def environment(**own: str) -> dict[str, str]:
    """Variables of a command: this process's without credentials, this Python first, and `own`."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(_PREFIXES)}
    binaries = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return {
        **kept,
        "PATH": binaries,
        "PYTHONPATH": str(CODE),
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_OFFLINE": "1",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        **own,
    }


class Process:
    """A command in a group of its own; what it writes lies in files in `folder`."""

    def __init__(self, command: Sequence[str], folder: Path, env: Mapping[str, str]) -> None:
        folder.mkdir(parents=True)
        self._said = folder / "stderr"
        with (folder / "stdout").open("wb") as out, self._said.open("wb") as err:
            self.popen = subprocess.Popen(
                command,
                cwd=folder,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.popen.pid

    def said(self) -> str:
        """All of stderr until now."""
        return self._said.read_text(errors="replace")

    def reason(self) -> str:
        """How the process stands, with the last line of its stderr."""
        lines = self.said().strip().splitlines()
        code = self.popen.poll()
        how = "still runs" if code is None else f"exit code {code}"
        return f"{how}: {lines[-1] if lines else 'nothing was said'}"

    def until(self, condition: Callable[[], object], wait_s: float) -> None:
        """Wait for a condition. Raises StateError if the process ends before, or time is over."""
        end = time.monotonic() + wait_s
        while not condition():
            if self.popen.poll() is not None:
                raise StateError(f"ended before it was ready; {self.reason()}")
            if time.monotonic() > end:
                raise StateError(f"not ready after {wait_s:g} s; {self.reason()}")
            time.sleep(0.05)

    def finish(self, wait_s: float) -> None:
        """Wait for exit code 0. Raises StateError; ends the process if time is over."""
        try:
            code = self.popen.wait(wait_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise StateError(f"still ran after {wait_s:g} s and was ended") from None
        except BaseException:
            self.kill()
            raise
        if code:
            raise StateError(self.reason())

    def terminate(self, wait_s: float) -> Optional[int]:
        """Ask the process to end, and wait; its exit code. Ends it if time is over."""
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(wait_s)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.popen.poll()

    def kill(self) -> None:
        """End the process and its children."""
        if self.popen.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait()
