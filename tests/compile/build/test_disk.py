"""What a build says when the disk refuses."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace

import pytest

from compile.build.build import build
from compile.errors import BuildError
from tests.support.networks import request


def test_an_output_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(BuildError, match="out: no folder for artifacts: File exists; name another"):
        build(request(), tmp_path / "out")


@pytest.mark.parametrize("place", ["tempfile.mkdtemp", "compile.build.build.write_reports"])
def test_a_folder_without_room_is_a_build_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "a/file")

    monkeypatch.setattr(place, fail)
    text = "a/file: cannot be written: No space left on device; make room, or name another folder"
    with pytest.raises(BuildError, match=text):
        build(request(), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("free_bytes", "told"), [(0, True), (1 << 30, False)])
def test_any_failure_on_a_full_disk_names_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_bytes: int, told: bool
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("unexpected pos 64 vs 0")

    monkeypatch.setattr("compile.targets.torchscript.build", fail)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free_bytes))
    with pytest.raises(BuildError if told else RuntimeError) as found:
        build(request(), tmp_path)
    assert ("no space left on the device; make room" in str(found.value)) == told
    assert str(found.value).endswith("unexpected pos 64 vs 0")
