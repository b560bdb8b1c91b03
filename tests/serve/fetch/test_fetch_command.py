"""The command `serve fetch`: what it prints, its exit codes, and a fetch that is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from serve.__main__ import main
from tests.depth.exports.test_export_command import run
from tests.serve.s3.conftest import Pair
from tests.support.fetches import differing, files_in, folder_job, job_of
from tests.support.folder_jobs import close_engines, make_engine
from tests.support.object_jobs import MAKING, png, put_images
from tests.support.processes import start, until


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    close_engines()


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(name="command")
def command_fixture(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `serve fetch` with these words; gives its exit code, stdout and stderr."""

    def command(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["serve", "fetch", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        return (int(ended.value.code or 0), *capsys.readouterr())

    return command


@pytest.mark.parametrize("pair", ["folder", "s3"], indirect=True)
def test_the_command_prints_what_is_there_and_says_what_is_not(
    pair: Pair, tmp_path: Path, command: Command
) -> None:
    put_images(pair.images, 3)
    folder, out = job_of(pair.source, pair.target, pair.url), tmp_path / "got"
    where = ["--endpoint-url", pair.url] if pair.url else []
    code, printed, said = command(pair.target, out, *where)
    assert code == 0, said
    names = [f"{out}/{name}.png" for name in ("0/0000", "0/0002", "1/0001")]
    assert sorted(printed.splitlines()) == names
    assert f"{folder}/: demo openvino fp32, png" in said
    assert "3 done in" in said
    (png,) = (
        each.key
        for each in pair.results.listed("")
        if "0002.png." in each.key[:-5] and each.key.endswith(".png")
    )
    pair.results.remove(png)
    (out / "0/0002.png").unlink()
    code, printed, said = command(pair.target, out, *where)
    assert (code, sorted(printed.splitlines())) == (3, [names[0], names[2]])
    assert "failed: 0/0002.png: 0002.png." in said
    assert "2 already there, 1 failed in" in said


@pytest.mark.parametrize("pair", ["s3"], indirect=True)
def test_letters_that_the_locale_does_not_have_are_those_of_the_key(
    pair: Pair, tmp_path: Path
) -> None:
    pair.images.write("Ä/ß.png", png(1))
    job_of(pair.source, pair.target, pair.url)
    words = ("fetch", pair.target, tmp_path / "got", "--endpoint-url", pair.url)
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    job = start(tmp_path, "-m", "serve", *words, **ascii_only)
    assert job.wait(60) == 0, (tmp_path / "stderr").read_text()
    assert set(files_in(tmp_path / "got")) == {"Ä/ß.png", "Ä/ß.json"}


def test_wrong_places_are_said(pair: Pair, tmp_path: Path, command: Command) -> None:
    out = tmp_path / "got"
    assert command(tmp_path / "nowhere", out)[0] == 1
    code, _, said = command(pair.target, out)
    assert (code, "no folder of a job's results" in said) == (2, True)
    put_images(pair.images, 1)
    for formats in ("png", "npy"):
        job_of(pair.source, pair.target, making=replace(MAKING, formats=(formats,)))
    code, _, said = command(pair.target, out)
    assert (code, "has the results of 2 jobs" in said) == (2, True)
    (tmp_path / "file").write_bytes(b"")
    code, _, said = command(
        f"{pair.target}/{next(Path(pair.target).iterdir()).name}", out / "../file"
    )
    assert (code, "cannot be made" in said) == (2, True)


def test_a_fetched_result_is_exported(
    pair: Pair, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_images(pair.images, 1)
    job_of(pair.source, pair.target)
    assert command(pair.target, tmp_path / "got")[0] == 0
    words = (tmp_path / "got/0/0000.json", "--preset", "midas", "--to", tmp_path / "exported")
    assert run(monkeypatch, *map(str, words)) == 0
    assert (tmp_path / "exported/0000.pfm").stat().st_size > 4 * 20 * 30


def killed(pair: Pair, place: Path, out: Path, results: int) -> subprocess.Popen[str]:
    """A fetch that is killed once that number of results is there."""
    job = start(place, "-m", "serve", "fetch", pair.target, out)

    def enough() -> bool:
        return sum(1 for _ in out.rglob("*.json")) >= results

    assert until(lambda: enough() or job.poll() is not None, 60)
    job.send_signal(signal.SIGKILL)
    job.wait()
    return job


def test_a_killed_fetch_leaves_whole_files_and_goes_on(
    pair: Pair, tmp_path: Path, command: Command
) -> None:
    making = replace(MAKING, formats=(), preset="iw3")
    put_images(pair.images, 60)
    job_of(pair.source, pair.target, making=making)
    out = tmp_path / "got"
    wanted = folder_job(pair.images, tmp_path / "folder", making, make_engine())
    assert killed(pair, tmp_path, out, 10).returncode == -signal.SIGKILL
    there = {name: each for name, each in files_in(out).items() if not name.endswith(".tmp")}
    assert 0 < len(there) < len(wanted)
    assert {name for name, each in there.items() if wanted[name] != each} == set()
    assert command(pair.target, out)[0] == 0
    assert differing(files_in(out), wanted) == []
