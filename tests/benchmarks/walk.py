"""The way of one image and of one weight through the code: modules entered, changes of module.

    python -m tests.benchmarks.walk

A profiler in all threads notes, in the order of time, the module of every function of ours that is
called or, if it is a generator, gone on with. Two runs of the bundled demo model:

image   inference.py on one sample image, its program compiled before. The image alone is what
        happens while the batch looks at its file, and while it works on it
weight  compile build, for OpenVINO

Also: how often the image file is opened.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from inspect import CO_OPTIMIZED
from pathlib import Path
from types import FrameType
from typing import Any, Optional

import typer

from depth.console import aligned
from depth.family import FAMILIES
from tests.support.opened import opens
from tests.support.places import ROOT

PACKAGES = ("depth", *FAMILIES, "compile", "serve", "depth_anything")
SAMPLE = "input_images/samples"
# While one of these runs, the work is on the image.
ALONE = ("serve.jobs.batch:_look", "serve.jobs.batch:_one")


@dataclass(frozen=True)
class Way:
    """Modules in the order in which they were entered, one after itself left out."""

    modules: tuple[str, ...]

    @property
    def entered(self) -> int:
        return len(set(self.modules))

    @property
    def changes(self) -> int:
        return max(0, len(self.modules) - 1)

    @property
    def visits(self) -> list[tuple[str, int]]:
        """How often each module was come to, the most first."""
        return Counter(self.modules).most_common()


class Walk:
    """A profiler of the functions in some packages of a folder.

    alone   `module:function`: what happens in any thread while one of these runs is also counted
            apart
    """

    def __init__(self, root: Path, packages: Collection[str], alone: Collection[str] = ()) -> None:
        self._root = str(root) + os.sep
        self._packages = packages
        self._marks = alone
        self._modules: dict[str, Optional[str]] = {}  # by file name; None: not of ours
        self._whole: list[str] = []
        self._alone: list[str] = []
        self._open = 0  # marked functions that run

    @property
    def whole(self) -> Way:
        return Way(tuple(self._whole))

    @property
    def alone(self) -> Way:
        return Way(tuple(self._alone))

    @contextmanager
    def walked(self) -> Iterator[None]:
        """Notes what this thread does, and those that it starts."""
        threading.setprofile(self._see)
        sys.setprofile(self._see)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)  # type: ignore[arg-type]

    def _see(self, frame: FrameType, event: str, _argument: Any) -> None:
        code = frame.f_code
        if event not in ("call", "return") or not code.co_flags & CO_OPTIMIZED:
            return  # the second: a module or a class that is being made
        module = self._module(code.co_filename)
        if module is None:
            return
        marked = f"{module}:{code.co_name}" in self._marks
        if event == "return":
            self._open -= marked
            return
        self._open += marked
        for way, counts in ((self._whole, True), (self._alone, self._open > 0)):
            if counts and way[-1:] != [module]:
                way.append(module)

    def _module(self, file: str) -> Optional[str]:
        if file not in self._modules:
            inside = file[len(self._root) :] if file.startswith(self._root) else ""
            ours = inside.partition(os.sep)[0] in self._packages
            name = inside[: -len(".py")].replace(os.sep, ".") if ours else None
            self._modules[file] = name
        return self._modules[file]


def walk_command(module: str, name: str, arguments: Sequence[str], image: Path) -> dict[str, Any]:
    """Run a command line of ours, `name` in `module`, in this process."""
    walk = Walk(ROOT, PACKAGES, ALONE)
    sys.argv = [name, *arguments]
    with opens() as opened, walk.walked():
        try:
            import_module(module).main()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
    ways = {"whole": walk.whole.modules, "alone": walk.alone.modules}
    return {"code": code, "opened": opened.of(image), **ways}


def in_a_process(
    module: str, arguments: Sequence[str], place: Path, walked: bool = True
) -> dict[str, Any]:
    """The same in a process of its own, in the folder `place`."""
    found = place / "walk.json"
    order = {"module": module, "arguments": list(arguments), "found": str(found)}
    command = [sys.executable, "-m", __name__ if __name__ != "__main__" else __spec__.name]
    command += ["--order", json.dumps(order)]
    if not walked:
        command = [sys.executable, str(ROOT / "inference.py"), *arguments]
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    subprocess.run(
        command,
        cwd=place,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return json.loads(found.read_text()) if walked else {}


def walks(place: Path) -> list[tuple[str, Way, str]]:
    """Both walks: what was walked, the way, and how often the image file was opened."""
    image = sorted((ROOT / SAMPLE).iterdir())[0]
    (place / "in").mkdir()
    shutil.copy(image, place / "in")
    options = ["--model", "demo", "--input", "in", "--artifacts", "artifacts", "--no-preview"]
    in_a_process("", [*options, "--output", "before"], place, walked=False)
    one = in_a_process("depth_anything.inference", [*options, "--output", "after"], place)
    build = ["build", "--model", "demo", "--target", "openvino", "--out", "built"]
    weight = in_a_process("compile.cli", [*build, "--size", "126x168"], place)
    return [
        ("one image, whole run", Way(tuple(one["whole"])), str(one["opened"])),
        ("one image, alone", Way(tuple(one["alone"])), ""),
        ("one weight", Way(tuple(weight["whole"])), ""),
    ]


def table(found: Sequence[tuple[str, Way, str]]) -> list[str]:
    rows = [(name, str(way.entered), str(way.changes), opened) for name, way, opened in found]
    return aligned([("walk", "modules", "changes", "image opened"), *rows])


def main(
    order: Optional[str] = typer.Option(None, hidden=True),
    visits: bool = typer.Option(False, help="Also list how often each module was come to."),
) -> None:
    """Walk, and print a table."""
    if order is not None:
        asked = json.loads(order)
        image = next(Path("in").iterdir())
        found = walk_command(asked["module"], "walk", asked["arguments"], image)
        Path(asked["found"]).write_text(json.dumps(found))
        raise typer.Exit(found["code"])
    with tempfile.TemporaryDirectory() as scratch:
        ways = walks(Path(scratch))
    typer.echo("\n".join(table(ways)))
    for name, way, _ in ways if visits else []:
        typer.echo(
            "\n".join([f"\n{name}", *(f"{count:5} {module}" for module, count in way.visits)])
        )


if __name__ == "__main__":
    typer.run(main)
