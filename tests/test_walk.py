"""The counter of tests/benchmarks/walk.py on code that is small enough to count by hand."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from tests.benchmarks.walk import Walk, Way, table

FILES = {
    "walked/__init__.py": "",
    "walked/top.py": """
from walked import low
class Top:
    value = low.answer()
def look():
    return low.answer()
def run(times):
    for _ in range(times):
        low.answer()
    return look()
def quiet():
    return sorted([3, 1, 2], key=lambda number: number)
def several():
    return [number for number in low.numbers()]
""",
    "walked/low.py": """
def answer():
    return other()
def other():
    return 42
def numbers():
    yield 1
    yield 2
""",
}


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield import_module("walked.top")
    for name in [name for name in sys.modules if name.partition(".")[0] == "walked"]:
        del sys.modules[name]


def walk_in(folder: Path) -> Walk:
    return Walk(folder, ["walked"], ["walked.top:look"])


def test_modules_and_changes(top: ModuleType, tmp_path: Path) -> None:
    walk = walk_in(tmp_path)
    with walk.walked():
        top.run(3)
    low_and_top = ("walked.top", "walked.low", "walked.top", "walked.low")
    assert walk.whole.modules == low_and_top  # run, answers, look, answer
    assert (walk.whole.entered, walk.whole.changes) == (2, 3)
    assert walk.whole.visits == [("walked.top", 2), ("walked.low", 2)]
    assert walk.alone.modules == ("walked.top", "walked.low")
    top.run(1)
    assert walk.whole.changes == 3, "afterwards nothing is counted"


def test_threads_count_and_other_code_does_not(top: ModuleType, tmp_path: Path) -> None:
    walk = walk_in(tmp_path)
    with walk.walked():
        thread = threading.Thread(target=top.run, args=[1])
        thread.start()
        thread.join()
        top.quiet()
    assert walk.whole.modules == (
        "walked.top", "walked.low", "walked.top", "walked.low", "walked.top",
    )  # fmt: skip
    with walk_in(tmp_path / "elsewhere").walked():
        top.run(1)


def test_only_calls_during_an_import_are_visits(tmp_path: Path, top: ModuleType) -> None:
    del sys.modules["walked.top"], sys.modules["walked.low"]
    walk = walk_in(tmp_path)
    with walk.walked():
        import_module("walked.top")
    assert walk.whole.modules == ("walked.low",)
    assert top.Top.value == 42


def test_a_generator_counts_each_time_it_goes_on(top: ModuleType, tmp_path: Path) -> None:
    walk = walk_in(tmp_path)
    with walk.walked():
        for _ in top.low.numbers():
            top.quiet()
    low, upper = "walked.low", "walked.top"
    assert walk.whole.modules == (low, upper, low, upper, low)


def test_nothing_and_the_table() -> None:
    assert (Way(()).entered, Way(()).changes) == (0, 0)
    lines = table([("one image", Way(("a", "b", "a")), "1")])
    assert [line.split() for line in lines] == [
        ["walk", "modules", "changes", "image", "opened"],
        ["one", "image", "2", "2", "1"],
    ]
