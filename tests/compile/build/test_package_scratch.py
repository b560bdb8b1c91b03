"""The folder for work in progress: nobody sees it, nothing of it stays, and no other is touched."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from compile.build.package import package, scratch_in
from tests.support.manifests import made_manifest, written
from tests.support.places import ROOT
from tests.support.syncs import syncs_and_renames

_AT_WORK = """
import sys
from pathlib import Path
from compile.build.package import package, scratch_in
from tests.support.manifests import made_manifest, written
with scratch_in(Path(sys.argv[1])) as folder:
    (folder / "programs").mkdir()
    (folder / "programs/half").write_bytes(b"half")
    print(folder, flush=True)
    sys.stdin.read()
"""


@contextmanager
def another(out: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """Another process at work in `out`: its folder, with something in it."""
    process = subprocess.Popen(
        [sys.executable, "-c", _AT_WORK, str(out)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield Path(process.stdout.readline().strip()), process
    finally:
        process.kill()
        process.communicate()


def test_it_is_an_empty_hidden_folder_that_is_gone_afterwards(tmp_path: Path) -> None:
    with scratch_in(tmp_path) as folder:
        assert folder.parent == tmp_path
        assert folder.name.startswith(".")
        assert list(folder.iterdir()) == []
        (folder / "a").touch()
    assert list(tmp_path.iterdir()) == []


def test_it_is_gone_after_an_error_too(tmp_path: Path) -> None:
    def fail() -> None:
        with scratch_in(tmp_path) as folder:
            (folder / "a").touch()
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_what_was_renamed_away_is_kept(tmp_path: Path) -> None:
    with scratch_in(tmp_path) as folder:
        (folder / "artifact").mkdir()
        (folder / "artifact").rename(tmp_path / "artifact")
    assert [path.name for path in tmp_path.iterdir()] == ["artifact"]


def test_what_a_killed_process_left_is_removed_and_a_running_ones_is_not(tmp_path: Path) -> None:
    with another(tmp_path) as (theirs, process):
        with scratch_in(tmp_path) as ours:
            assert (theirs / "programs/half").read_bytes() == b"half"
            assert ours != theirs
        assert theirs.is_dir()
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert theirs.is_dir()
        with scratch_in(tmp_path) as ours:
            assert list(tmp_path.iterdir()) == [ours]


def test_two_pieces_of_work_in_one_process_do_not_touch_each_other(tmp_path: Path) -> None:
    with scratch_in(tmp_path) as first, scratch_in(tmp_path) as second:
        assert first != second
        assert sorted(tmp_path.iterdir()) == sorted([first, second])


def test_nothing_else_in_the_folder_is_touched(tmp_path: Path) -> None:
    for name in (".hidden", ".building", "artifact", "building-1"):
        (tmp_path / name).mkdir()
    before = sorted(tmp_path.iterdir())
    with scratch_in(tmp_path):
        pass
    assert sorted(tmp_path.iterdir()) == before


def test_an_artifact_is_on_the_disk_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = written(tmp_path / "made", made_manifest())
    events = syncs_and_renames(monkeypatch)
    package(artifact.folder, artifact.manifest, tmp_path)
    files = [Path(file.path).name for file in artifact.manifest.programs[0].files]
    assert {*files, "manifest.json", "programs", "made"} <= {*events[: events.index("renamed")]}
    assert events[events.index("renamed") + 1 :] == [tmp_path.name]
