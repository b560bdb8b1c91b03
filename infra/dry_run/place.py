"""One machine as the place of the pipeline: the store, the front address, and the states' jobs."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from infra.dry_run.caller import Caller
from infra.dry_run.cloud import Cloud
from infra.dry_run.flow import CODE, STEPS
from infra.dry_run.front import Front
from infra.dry_run.processes import Process, environment
from infra.dry_run.rollout import Rollout, service_command

ALIAS, JOB_S = "demo/openvino", 240.0
NO_FILES: Mapping[str, bytes] = {}
PICTURE = CODE / "input_images/samples/shelves.jpg"


class Place:
    """Store, services and caller of a dry run. Use as a context: its end ends every process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token = secrets.token_hex(16)
        self._numbers = count()
        self._ends = ExitStack()

    def __enter__(self) -> Place:
        with ExitStack() as ends:
            self.cloud = Cloud(self.folder / "cloud")
            ends.callback(self.cloud.close)
            self.front = Front()
            ends.callback(self.front.close)
            self.rollout = Rollout(self.front, self._service)
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def begin(self, size: str) -> str:
        """Put an artifact of this size into production, and a caller in front; its identity."""
        for step in ("compile", "parity", "promote"):
            self.job(step, "0", size)
        self.rollout.deploy()
        self.caller = Caller(self.front.url, self.token, PICTURE)
        self._ends.callback(self.caller.close)
        return self.identity(f"{ALIAS}/production")

    def job(self, step: str, run: str, size: str, files: Mapping[str, bytes] = NO_FILES) -> None:
        """Run a step's commands in a folder with these files only. Raises StateError."""
        told = STEPS["steps"][step]
        folder = self._folder(step)
        work = folder / "work"
        work.mkdir(parents=True)
        for name, data in files.items():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).write_bytes(data)
        script = "\n".join(['cd "$0"', *told["commands"]])
        variables = {
            "MODEL": "demo",
            "TARGET": "openvino",
            "SIZES": size,
            "STORE": self.cloud.store,
            "ALIAS": ALIAS,
            "RUN": run,
            "URL": self.front.url,
            "CODE": str(CODE),
            "DEPTH_TOKEN": self.token,
        }
        env = environment(**variables, **self.cloud.settings(told["role"]))
        self._run(["/bin/sh", "-euc", script, str(work)], folder / "job", env)

    def command(self, role: str, *words: str) -> str:
        """A command `python -m compile ...` with a role's keys; what it prints."""
        folder = self._folder(words[0])
        env = environment(**self.cloud.settings(role))
        return self._run([sys.executable, "-m", "compile", *words], folder, env)

    def identity(self, alias: str) -> str:
        """The identity that an alias names now."""
        identity: str = json.loads(self.cloud.read(f"aliases/{alias}.json"))["identity"]
        return identity

    def _run(self, command: list[str], folder: Path, env: dict[str, str]) -> str:
        Process(command, folder, env).finish(JOB_S)
        return (folder / "stdout").read_text().strip()

    def _service(self) -> Process:
        """What a new task of the service starts: it takes what the alias names now."""
        folder = self._folder("service")
        own = {
            "DEPTH_STORE": self.cloud.store,
            "DEPTH_REFERENCE": f"{ALIAS}/production",
            "DEPTH_FOLDER": str(folder / "artifacts"),
            "DEPTH_HOST": "127.0.0.1",
            "DEPTH_TOKEN": self.token,
        }
        env = environment(**own, **self.cloud.settings("read"))
        process = Process(service_command(CODE), folder, env)
        self._ends.callback(process.kill)
        return process

    def _folder(self, name: str) -> Path:
        return self.folder / f"{next(self._numbers):02d}-{name}"
