"""What travels between the driver and its workers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from depth.maps.fit import FitRecord
from depth.store.objects import open_store
from serve.errors import RestartError
from serve.jobs.entry import DONE, FAILED, Entry
from serve.jobs.objects.keys import Stored
from serve.jobs.objects.listing import Waiting
from serve.jobs.objects.making import Making
from serve.ray.wire import dump_entry, dump_waiting, parse_entry, parse_waiting
from serve.ray.worker import ENTRY, LEFT, WAITING, Duty, Worker
from tests.support.folder_jobs import make_engine
from tests.support.object_jobs import left, png

FITTED = FitRecord(
    *("points", "3" * 64, "auto", "m", "inverse", "scale"),
    *(0.5, -0.1, 9, 8, 0.01, 0.02, 0.03, 0.1, 90.0, 0, 4),
)


def test_what_is_sent_arrives() -> None:
    stored = Stored("0" * 12, "1" * 16, {"a.png": 7, "a.json": 9})
    for waiting in (
        Waiting("a\u2028/\x1b.png", 9, "0" * 12),
        Waiting("a.png", 9, "0" * 12, {"1" * 16: stored}, stored),
    ):
        assert parse_waiting(dump_waiting(waiting)) == waiting
    for entry in (
        Entry("a.png", FAILED, reason="torn"),
        Entry("a.png", DONE, "2" * 64, None, {"a.png": 7}, notes=("alpha",), timing_ms={"read": 1}),
        Entry("a.png", DONE, fit=FITTED),
    ):
        assert parse_entry(dump_entry(entry)) == entry


@pytest.fixture
def places(tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "in").mkdir()
    with open_store(str(tmp_path / "in")) as store:
        store.write("a.png", png(1))
        store.write("torn.png", b"torn")
    return str(tmp_path / "in"), str(tmp_path / "out")


def batch(*images: str) -> dict[str, list[str]]:
    return {WAITING: [dump_waiting(Waiting(image, 9, "0" * 12)) for image in images]}


def test_a_worker_writes_results_and_collects_failures(places: tuple[str, str]) -> None:
    worker = Worker(Duty(*places, None, Making(("x",)), "folder", 1, lambda _: make_engine()))
    found = worker(batch("a.png", "torn.png", "gone.png"))
    entries = {entry.image: entry for entry in map(parse_entry, found[ENTRY])}
    assert {image: entry.status for image, entry in entries.items()} == {
        "a.png": DONE,
        "torn.png": FAILED,
        "gone.png": FAILED,
    }
    assert "removed since it was listed" in entries["gone.png"].reason
    assert list(found[LEFT]) == [""] * 3
    with open_store(places[1]) as store:
        assert left(store).images == {"a.png": ["folder/a.png." + "0" * 12 + _digits() + ".json"]}


def _digits() -> str:
    from depth.files import sha256_bytes

    return "-" + sha256_bytes(png(1))[:16]


def test_a_worker_writes_the_files_of_a_preset(places: tuple[str, str]) -> None:
    making = Making(("x",), formats=(), preset="midas")
    worker = Worker(Duty(*places, None, making, "folder", 1, lambda _: make_engine()))
    (entry,) = map(parse_entry, worker(batch("a.png"))[ENTRY])
    stem = "folder/a.png." + "0" * 12 + _digits()
    assert list(entry.outputs) == [f"{stem}.pfm", f"{stem}.json"]
    with open_store(places[1]) as store:
        assert {found.key for found in store.listed("")} >= set(entry.outputs)


def test_a_worker_without_a_core_says_so(places: tuple[str, str]) -> None:
    engine = make_engine()

    def gone(*_: object, **__: object) -> None:
        raise RestartError("no core is left")

    engine.run = gone  # type: ignore[assignment,method-assign]
    worker = Worker(Duty(*places, None, Making(("x",)), "folder", 1, lambda _: engine))
    found = worker(batch("a.png"))
    assert (list(found[ENTRY]), list(found[LEFT])) == ([""], ["restart: no core is left"])


def test_without_ray_the_command_says_what_to_install(
    places: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from depth.errors import not_installed
    from serve.cli import app

    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr(Making, "library", lambda _: make_engine().library)
    found = CliRunner().invoke(app, ["ray", *places, "--artifact", "x"])
    assert isinstance(found.exception, ModuleNotFoundError)
    assert "ray, which is not installed" in not_installed(found.exception)
