"""Compiled programs are kept and found again; damage counts as absence."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from compile.neuron.cache import CacheKey, ProgramCache, digest_of
from compile.neuron.log import CompilerLog, NotCompiled
from compile.neuron.metrics import SubgraphMetrics
from compile.neuron.record import BuildRecord

KEY = CacheKey("code", "graph", "weights", (1, 3, 28, 42), ("all", "-O", "0"), {"neuron-cc": "1"})
RECORD = BuildRecord(
    "inf1",
    "all",
    ("-O", "0"),
    False,
    12.5,
    1 << 30,
    "work",
    CompilerLog(2, 2, 100.0, 1, 1, (), (0,), False, (NotCompiled("aten::Int", 1, True),)),
    (SubgraphMetrics("0", 1.0, 2.0, None, 4.0, 5.0, True),),
)


@pytest.fixture(name="cache")
def cache_fixture(tmp_path: Path) -> ProgramCache:
    return ProgramCache(tmp_path / "cache")


@pytest.fixture(name="program")
def program_fixture(tmp_path: Path) -> Path:
    path = tmp_path / "made.pt"
    path.write_bytes(b"a program")
    return path


def entry(cache: ProgramCache) -> Path:
    (found,) = cache.folder.iterdir()
    return found


def test_fetch_finds_what_store_kept_with_its_record(
    cache: ProgramCache, program: Path, tmp_path: Path
) -> None:
    assert cache.fetch(KEY, tmp_path / "found.pt") is None
    cache.store(KEY, program, RECORD)
    assert cache.fetch(KEY, tmp_path / "found.pt") == replace(RECORD, from_cache=True)
    assert (tmp_path / "found.pt").read_bytes() == b"a program"


@pytest.mark.parametrize(
    "other",
    [
        {"source": "other"},
        {"graph": "other"},
        {"weights": "other"},
        {"shape": (2, 3, 28, 42)},
        {"arguments": ("all", "-O")},
        {"versions": {"neuron-cc": "2"}},
    ],
    ids=lambda other: next(iter(other)),
)
def test_every_part_of_the_key_counts(
    cache: ProgramCache, program: Path, tmp_path: Path, other: dict[str, object]
) -> None:
    cache.store(KEY, program, RECORD)
    assert cache.fetch(replace(KEY, **other), tmp_path / "found.pt") is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("file", "data"),
    [
        ("program", b"another program"),
        ("program.sha256", b"0" * 64),
        ("program.sha256", b"\xff"),
        ("record.json", b"{}"),
        ("record.json", b"\xff"),
        ("program", None),
        ("record.json", None),
        ("program.sha256", None),
    ],
)
def test_a_store_replaces_a_damaged_entry_which_counts_as_absent(
    cache: ProgramCache,
    program: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    file: str,
    data: object,
) -> None:
    cache.store(KEY, program, RECORD)
    damaged = entry(cache) / file
    damaged.write_bytes(data) if isinstance(data, bytes) else damaged.unlink()
    assert cache.fetch(KEY, tmp_path / "found.pt") is None
    assert not (tmp_path / "found.pt").exists()
    assert "damaged, compiled again" in caplog.text
    cache.store(KEY, program, RECORD)
    assert cache.fetch(KEY, tmp_path / "found.pt") is not None


@pytest.mark.parametrize("file", ["program", "record.json", "program.sha256"])
@pytest.mark.parametrize("device", ["pipe", "/dev/zero"])
def test_an_entry_that_is_no_regular_file_counts_as_absent(
    cache: ProgramCache, program: Path, tmp_path: Path, file: str, device: str
) -> None:
    cache.store(KEY, program, RECORD)
    planted = entry(cache) / file
    planted.unlink()
    planted.symlink_to(device) if device.startswith("/") else os.mkfifo(planted)
    assert cache.fetch(KEY, tmp_path / "found.pt") is None
    cache.store(KEY, program, RECORD)
    assert cache.fetch(KEY, tmp_path / "found.pt") is not None


def test_an_entry_is_on_the_disk_before_it_gets_its_name(
    cache: ProgramCache, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    plain_sync, plain_rename = os.fsync, Path.rename

    def fsync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        plain_sync(descriptor)

    def rename(self: Path, target: Path) -> Path:
        if self.name == "entry":
            assert {path.stat().st_ino for path in self.iterdir()} <= set(synced)
            synced.clear()
        return plain_rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", rename)
    cache.store(KEY, program, RECORD)
    assert synced == [cache.folder.stat().st_ino]


def test_a_store_that_breaks_off_leaves_nothing_that_counts(
    cache: ProgramCache, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        cache.store(KEY, tmp_path / "no program.pt", RECORD)
    assert list(cache.folder.iterdir()) == []


def test_parts_of_a_digest_are_told_apart() -> None:
    assert digest_of([b"ab", b"c"]) != digest_of([b"a", b"bc"])
    assert digest_of([b"ab", b"c"]) == digest_of(iter([b"ab", b"c"]))
