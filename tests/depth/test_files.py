"""Files are opened only if they are files, and reach the disk before they get their names."""

from __future__ import annotations

import errno
import fcntl
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from depth.files import (
    NO_LINK,
    has_bytes,
    is_full,
    localised,
    locked,
    make_folders,
    open_regular,
    read_regular,
    read_text,
    remove_left_over,
    sha256_bytes,
    sha256_file,
    sync_tree,
    turn,
    write_set,
    write_whole,
)

ZERO = Path("/dev/zero")
DESCRIPTORS = Path("/proc/self/fd")


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def linked_device(path: Path) -> Path:
    path.symlink_to(ZERO)
    return path


@pytest.mark.parametrize("make", [pipe, folder, linked_device])
@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR | os.O_CREAT])
def test_what_is_no_file_is_refused_without_waiting(
    make: Callable[[Path], Path], flags: int, tmp_path: Path
) -> None:
    path = make(tmp_path / "x")
    before = len(list(DESCRIPTORS.iterdir()))
    with pytest.raises(OSError, match="not a regular file"):
        open_regular(path, flags)
    assert len(list(DESCRIPTORS.iterdir())) == before, "a descriptor stays open"
    for read in (sha256_file, lambda p: read_regular(p, 10)):
        with pytest.raises(OSError, match="not a regular file"):
            read(path)
    assert not has_bytes(path, path.stat().st_size, sha256_bytes(b""))


def test_a_link_is_followed_unless_the_caller_says_otherwise(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"abc")
    (tmp_path / "x").symlink_to("target")
    assert read_regular(tmp_path / "x", 3) == b"abc"
    with pytest.raises(OSError, match="a link, which is not followed here"):
        open_regular(tmp_path / "x", os.O_RDWR | NO_LINK)
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "none", os.O_RDWR | NO_LINK)


def test_more_bytes_than_the_limit_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abcd")
    assert read_regular(tmp_path / "x", 4) == b"abcd"
    with pytest.raises(OSError, match="expected at most 3 bytes"):
        read_regular(tmp_path / "x", 3)


def test_bytes_are_compared_by_size_and_by_hash(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert has_bytes(path, 3, sha256_bytes(b"abc"))
    assert not has_bytes(path, 4, sha256_bytes(b"abc"))
    assert not has_bytes(path, 3, sha256_bytes(b"\0\0\0"))
    assert not has_bytes(tmp_path / "none", 3, sha256_bytes(b"abc"))
    assert not has_bytes(tmp_path / "a\0b", 3, sha256_bytes(b"abc"))


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is forced onto the disk, and what gets which name, in order."""
    found: list[str] = []
    sync, replace = os.fsync, Path.replace

    def name(path: Path) -> str:
        return "temporary" if path.suffix == ".tmp" else path.name

    def noted_sync(descriptor: int) -> None:
        found.append(f"sync {name((DESCRIPTORS / str(descriptor)).readlink())}")
        sync(descriptor)

    def noted_replace(path: Path, target: Path) -> Path:
        found.append(f"name {target.name}")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    return found


def test_a_set_is_on_the_disk_before_it_gets_its_names(tmp_path: Path, events: list[str]) -> None:
    place = tmp_path / "a" / "b"
    assert write_set(place, [("x.png", b"1"), ("x.json", b"2")]) == [
        place / "x.png",
        place / "x.json",
    ]
    new_folders = ["sync a", f"sync {tmp_path.name}"]
    names = ["name x.png", "name x.json"]
    assert events == [*new_folders, "sync temporary", "sync temporary", *names, "sync b"]
    assert sorted(path.name for path in place.iterdir()) == ["x.json", "x.png"]


def test_a_text_is_on_the_disk_before_it_gets_its_name(tmp_path: Path, events: list[str]) -> None:
    write_whole(tmp_path / "x.txt", "caf\udce9\r\n")
    assert (tmp_path / "x.txt").read_bytes() == b"caf\\udce9\r\n"
    assert events == ["sync temporary", "name x.txt", f"sync {tmp_path.name}"]


@pytest.mark.parametrize("name", ["x.txt", "x.txt.part"])
def test_a_text_does_not_go_through_a_link_that_lies_there(tmp_path: Path, name: str) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / name).symlink_to("precious")
    write_whole(tmp_path / "x.txt", "new")
    assert (tmp_path / "precious").read_text() == "precious"
    assert (tmp_path / "x.txt").read_text() == "new"
    assert not (tmp_path / "x.txt").is_symlink()


def test_a_link_that_has_the_temporary_name_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = uuid.uuid4()
    monkeypatch.setattr(uuid, "uuid4", lambda: known)
    (tmp_path / "precious").write_text("precious")
    (tmp_path / f".depth-{known.hex}.tmp").symlink_to("precious")
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "x.txt", "new")
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_file_that_could_not_be_written_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.txt").write_text("old")
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        write_whole(tmp_path / "x.txt", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]
    assert (tmp_path / "x.txt").read_text() == "old"


def test_every_file_and_folder_of_a_tree_is_synced(tmp_path: Path, events: list[str]) -> None:
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs" / "a.bin").write_bytes(b"1")
    (tmp_path / "manifest.json").write_bytes(b"2")
    sync_tree(tmp_path)
    expected = ["sync manifest.json", f"sync {tmp_path.name}", "sync a.bin", "sync programs"]
    assert events == expected
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        sync_tree(tmp_path)


def failing(number: int) -> Callable[..., Any]:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_a_folder_that_cannot_be_synced_is_let_pass_and_a_broken_disk_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.EINVAL))
    make_folders(tmp_path / "a")
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        make_folders(tmp_path / "b")
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        write_set(tmp_path / "a", [("x", b"1")])
    assert not list((tmp_path / "a").iterdir())


def test_only_what_no_process_is_writing_is_removed(tmp_path: Path) -> None:
    left, user_s, link = (tmp_path / n for n in (".depth-1.tmp", "depth-1.tmp", ".depth-2.tmp"))
    left.write_bytes(b"half")
    user_s.write_bytes(b"mine")
    link.symlink_to(user_s)
    in_use = tmp_path / ".depth-3.tmp"
    in_use.write_bytes(b"half")
    with in_use.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        remove_left_over([tmp_path, tmp_path / "none"])
        assert {path.name for path in tmp_path.iterdir()} == {user_s.name, link.name, in_use.name}
    remove_left_over([tmp_path])
    assert not in_use.exists()


def test_temporary_files_are_locked_until_they_have_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def another_job_starts(path: Path, target: Path) -> Path:
        remove_left_over([tmp_path])
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", another_job_starts)
    write_set(tmp_path, [("x.png", b"1"), ("x.json", b"2")])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.json", "x.png"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_known_through_other_errors(number: int) -> None:
    error = ValueError()
    error.__cause__ = OSError(number, "full")
    assert is_full(error)
    assert not is_full(OSError(errno.EIO, "broken"))
    assert not is_full(None)


def test_locks_do_not_wait_on_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotADirectoryError), locked(tmp_path / "pipe"):
        pass
    with turn(tmp_path / "pipe"):  # as on a file system without locks
        pass


def test_names_in_json_are_as_this_locale_has_them() -> None:
    surrogates = "a/\udcc3\udcbc.jpg"  # what the locale C makes of ü in UTF-8
    assert localised({surrogates: [surrogates, 3, None]}) == {"a/ü.jpg": ["a/ü.jpg", 3, None]}
    for name in ("a.jpg", "ü", "\udcff", "\ud800"):  # no UTF-8, and no byte at all
        assert localised(name) == name


def test_a_users_text_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\xef\xbb\xbf\xc3\xa4\n")
    assert read_text(path, 6) == "ä\n"
    with pytest.raises(OSError, match="expected at most 5 bytes"):
        read_text(path, 5)
    path.write_bytes(b"\xe4")
    with pytest.raises(UnicodeDecodeError):
        read_text(path, 5)
