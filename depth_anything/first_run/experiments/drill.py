"""A fault, provoked: the exact text of the runtime, and what our tables make of it."""

from __future__ import annotations

import argparse
import io
import signal
import subprocess
import sys
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Callable

import torch

from depth.artifact.manifest import Artifact, read_artifact
from depth.artifact.probe import probe_inputs
from depth_anything.first_run.drills import DRILLS
from depth_anything.first_run.experiments.report import end
from depth_anything.first_run.experiments.sdk import chip
from serve.runtimes.neuron_status import diagnose

_CHILD_S = 60.0
_FAR_CORE = 99


class Loader:
    """The first program of an artifact, loaded by the SDK itself: our own checks stay out."""

    def __init__(self, artifact: Artifact, copies: int) -> None:
        self.copies = copies
        self.path = artifact.folder
        program = artifact.manifest.programs[0]
        self.data = bytes(artifact.open_files(program.files[:1])[0])
        arrays = probe_inputs(artifact.manifest, program)
        self.inputs = [torch.from_numpy(array) for array in arrays.values()]

    def load(self, core: int = 0, data: bytes = b"") -> Any:
        with chip().placed_on(core):
            return torch.jit.load(io.BytesIO(data or self.data))  # type: ignore[no-untyped-call]

    def run(self, program: Any) -> None:
        with torch.no_grad():
            program(*self.inputs)


def wrong_shape(loader: Loader) -> None:
    program = loader.load()
    loader.inputs = [tensor[..., :-1] for tensor in loader.inputs]
    loader.run(program)


def no_such_core(loader: Loader) -> None:
    loader.run(loader.load(_FAR_CORE))


def not_imported(loader: Loader) -> None:
    torch.jit.load(io.BytesIO(loader.data))  # type: ignore[no-untyped-call]


def damaged_program(loader: Loader) -> None:
    middle = len(loader.data) // 2
    loader.run(loader.load(0, loader.data[:middle] + bytes(64) + loader.data[middle + 64 :]))


def memory_full(loader: Loader) -> None:
    held = []
    for _ in range(loader.copies):
        held.append(loader.load())
        loader.run(held[-1])


def cores_taken(loader: Loader) -> None:
    """All cores here; then a process of its own wants one, and its text is raised here."""
    loader.run(loader.load())
    _raise_of(_other(loader, "wrong-shape"), expected="Incorrect tensor shape")


def forked(loader: Loader) -> None:
    program = loader.load()
    loader.run(program)
    context = get_context("fork")
    here, there = context.Pipe()

    def child(pipe: Connection) -> None:
        pipe.send(_text_of(lambda: loader.run(program)))

    process = context.Process(target=child, args=(there,))
    process.start()
    text = here.recv() if here.poll(_CHILD_S) else "the forked process hangs"
    process.kill()
    process.join()
    if text:
        raise RuntimeError(text)


def killed_owner(loader: Loader) -> None:
    """A process that has the cores is killed; then this one takes them."""
    words = [sys.executable, "-m", __spec__.name, str(loader.path), "--own"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as owner:
        if owner.stdout:
            owner.stdout.readline()  # it has the cores
        owner.send_signal(signal.SIGKILL)
    loader.run(loader.load())


def _other(loader: Loader, drill: str) -> str:
    """The text of a drill in a new process; "" if nothing failed there."""
    words = [sys.executable, "-m", __spec__.name, str(loader.path), drill]
    done = subprocess.run(words, capture_output=True, text=True, timeout=_CHILD_S, check=False)
    return done.stderr


def _raise_of(text: str, expected: str) -> None:
    if text and expected not in text:
        raise RuntimeError(text.strip())


def _text_of(do: Callable[[], object]) -> str:
    """What an SDK raises, whatever it is; "" if it raises nothing."""
    try:
        do()
    except Exception as error:
        return str(error) or repr(error)
    return ""


_DO: dict[str, Callable[[Loader], None]] = {
    "wrong-shape": wrong_shape,
    "no-such-core": no_such_core,
    "not-imported": not_imported,
    "damaged-program": damaged_program,
    "memory-full": memory_full,
    "cores-taken": cores_taken,
    "forked": forked,
    "killed-owner": killed_owner,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("artifact", type=Path)
    parser.add_argument("drill", choices=_DO, nargs="?")
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--own", action="store_true", help="take the cores, and wait to be killed")
    given = parser.parse_args()
    loader = Loader(read_artifact(given.artifact), given.copies)
    if given.own:
        loader.run(loader.load())
        sys.stdout.write("here\n")
        sys.stdout.flush()
        signal.pause()
    text = _text_of(lambda: _DO[given.drill](loader))
    expected = [action.value for action in DRILLS[given.drill].expected]
    found = (diagnose(text).action or DRILLS[given.drill].otherwise) if text else None
    action = found.value if found else None
    facts = {"text": text, "understood_as": action, "expected": expected}
    if bool(text) != bool(expected):
        end(facts, f"it failed: {text}" if text else "nothing failed, though it should")
    known = not expected or action in expected
    end(facts, "" if known else f"the text is understood as {action}, not as {expected}: {text}")


if __name__ == "__main__":
    main()
