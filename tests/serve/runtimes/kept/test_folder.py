"""The folder of prepared programs: private, bounded, and never in the way."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from serve.runtimes.kept import folder as kept
from serve.runtimes.kept.folder import SUFFIX, KeptFolder, kept_folder

NAME = "a" + SUFFIX


@pytest.fixture(autouse=True)
def _each_problem_is_said_again() -> None:
    kept._say.cache_clear()


@pytest.fixture
def place(tmp_path: Path) -> KeptFolder:
    return KeptFolder(tmp_path / "cache", 100)


def test_an_entry_comes_back_and_only_its_owner_may_read_it(place: KeptFolder) -> None:
    assert place.read(NAME) is None
    assert place.write(NAME, b"one", b"two")
    assert place.read(NAME) == b"onetwo"
    assert place.path.stat().st_mode & 0o777 == 0o700
    assert (place.path / NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_can_write_is_not_used(
    place: KeptFolder, mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert place.write(NAME, b"x")
    place.path.chmod(mode)
    assert place.read(NAME) is None
    assert not place.write(NAME, b"y")
    assert (place.path / NAME).read_bytes() == b"x"
    (said,) = caplog.messages
    assert "others can write into it: `chmod 700` it" in said


def test_a_folder_that_is_a_link_is_not_used(place: KeptFolder, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir(mode=0o700)
    place.path.symlink_to(tmp_path / "other")
    assert not place.write(NAME, b"x")
    assert list((tmp_path / "other").iterdir()) == []


def test_an_entry_that_others_can_write_or_that_is_a_link_is_not_read(
    place: KeptFolder, tmp_path: Path
) -> None:
    assert place.write(NAME, b"x")
    (place.path / NAME).chmod(0o666)
    assert place.read(NAME) is None
    (tmp_path / "elsewhere").write_bytes(b"x")
    (place.path / NAME).unlink()
    (place.path / NAME).symlink_to(tmp_path / "elsewhere")
    assert place.read(NAME) is None


def test_a_folder_that_cannot_be_made_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    place = KeptFolder(tmp_path / "file" / "cache", 100)
    assert [place.read(NAME), place.write(NAME, b"x"), place.write(NAME, b"x")] == [
        None,
        False,
        False,
    ]
    (said,) = caplog.messages
    assert said.startswith("prepared programs are not kept: ")


def test_a_full_disk_is_said_once_and_leaves_nothing(
    place: KeptFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    whole = kept.replacing

    @contextmanager
    def full(path: Path) -> Iterator[Any]:
        with whole(path) as file:
            yield file
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(kept, "replacing", full)
    assert not place.write(NAME, b"x")
    assert not place.write(NAME, b"x")
    assert list(place.path.iterdir()) == []
    (said,) = caplog.messages
    assert said.endswith("No space left on device")


def test_a_disk_that_results_need_takes_no_entry(
    place: KeptFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_LEAST_FREE_BYTES", 1 << 62)
    assert not place.write(NAME, b"x")
    assert list(place.path.iterdir()) == []


def test_the_entries_that_were_used_last_stay(place: KeptFolder) -> None:
    for number, name in enumerate("abc"):
        assert place.write(name + SUFFIX, bytes(30))
        os.utime(place.path / (name + SUFFIX), (number, number))
    assert place.read("a" + SUFFIX) == bytes(30)  # used now: b is the oldest
    assert place.write("d" + SUFFIX, bytes(45))
    assert sorted(path.name[0] for path in place.path.iterdir()) == ["a", "d"]


def test_an_entry_over_half_of_the_limit_is_not_kept(place: KeptFolder) -> None:
    assert place.write(NAME, bytes(50))
    assert not place.write("b" + SUFFIX, bytes(51))
    assert [path.name for path in place.path.iterdir()] == [NAME]


def test_the_environment_says_where(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    below = Path("depth-anything-inferentia", "programs")
    said = {
        "XDG_CACHE_HOME": str(tmp_path),
        "DEPTH_PROGRAM_CACHE": "",
    }
    assert kept_folder(said) == KeptFolder(tmp_path / below, 2_000_000_000)
    assert kept_folder({**said, "XDG_CACHE_HOME": "relative"}) == KeptFolder(
        Path.home() / ".cache" / below, 2_000_000_000
    )
    own = {"DEPTH_PROGRAM_CACHE": "/own", "DEPTH_PROGRAM_CACHE_MB": "5"}
    assert kept_folder(own) == KeptFolder(Path("/own"), 5_000_000)
    assert kept_folder({**said, "DEPTH_PROGRAM_CACHE": "off"}) is None
    assert not caplog.messages
    assert kept_folder({"DEPTH_PROGRAM_CACHE_MB": "much"}) is None
    with caplog.at_level(logging.WARNING):
        assert "expected a number of MB" in caplog.text
