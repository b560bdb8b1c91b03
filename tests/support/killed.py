"""Commands of `python -m compile` that end by SIGKILL at a place of the test's choice.

Loading torch takes longer than a small job. So one process imports everything and computes nothing;
every command runs in a fork of that process.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Callable

from tests.support.places import ROOT

_LOADED = ("compile.cli", "compile.job.run", "compile.targets.onnx", "depth.store.folder")
_LOADED += ("depth.store.s3", "depth_anything_v2.layouts", "depth_anything_v2.network")
# Loaded by torch and by progress only when they are first needed: 2 s in every fork.
_LOADED += ("rich.console", *(["torch._dynamo"] if find_spec("torch._dynamo") else []))


@dataclass(frozen=True)
class Kill:
    """Where a process ends."""

    place: str  # "module:function" or "module:Class.method"
    when: str = "before"  # or "after" it
    given: str = ""  # the call that has this text in its arguments


def killed(arguments: Sequence[str], kill: Kill, prepare: str = "", log: str = "log") -> None:
    """Run `compile` with these arguments in the current folder; it must reach that place.

    `prepare` is Python to run first. The command's output goes to the file `log`.
    """
    order = {
        "arguments": arguments,
        "kill": asdict(kill),
        "prepare": prepare,
        "folder": str(Path.cwd()),
        "environment": dict(os.environ),
        "log": log,
    }
    process = _process()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(order) + "\n")
    process.stdin.flush()
    ended = int(process.stdout.readline())
    assert ended == -signal.SIGKILL, Path(log).read_text()


def copied_from(built: str) -> Callable[..., list[Path]]:
    """An ONNX builder that copies the programs of the artifact under `built`: no export."""

    def build(_part: object, stem: Path, _precision: str) -> list[Path]:
        (made,) = Path(built).rglob(f"{stem.name}.onnx")
        return [Path(shutil.copy(made, stem.parent))]

    return build


@functools.cache
def _process() -> subprocess.Popen[str]:
    """Started on first use, and stopped when the test run ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.killed"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    atexit.register(_stop, process)
    return process


def _stop(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def _serve() -> None:
    from compile.build import package
    from tests.support.jobs import SOURCE

    for name in _LOADED:
        import_module(name)
    package.source_sha256 = lambda *_: SOURCE  # as tests/support/jobs.py has it
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if not child:
            _run(order)
        _, status = os.waitpid(child, 0)
        code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        sys.stdout.write(f"{code}\n")
        sys.stdout.flush()


def _run(order: dict[str, Any]) -> None:
    """The command, in the fork; never returns."""
    from compile.cli import main

    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    exec(order["prepare"], {})
    _arm(Kill(**order["kill"]))
    sys.argv = ["compile", *order["arguments"]]
    try:
        main()
    except SystemExit as ended:
        os._exit(int(ended.code or 0))
    except BaseException:  # never back into the loop
        traceback.print_exc()
        os._exit(70)


def _arm(kill: Kill) -> None:
    module, _, path = kill.place.partition(":")
    owner: Any = import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    plain = getattr(owner, name)

    def armed(*args: Any, **kwargs: Any) -> Any:
        hit = kill.given in repr((args, kwargs))
        if hit and kill.when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        found = plain(*args, **kwargs)
        if hit and kill.when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    setattr(owner, name, armed)


if __name__ == "__main__":
    _serve()
