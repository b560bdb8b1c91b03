"""The command `serve fetch`: what it prints, its exit codes, and a fetch that is killed."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from serve.cli import app
from tests.depth.exports.test_export_command import run
from tests.serve.s3.conftest import Pair
from tests.support.fetches import differing, files_in, folder_job, job_of
from tests.support.folder_jobs import close_engines, make_engine
from tests.support.object_jobs import MAKING, put_images
from tests.support.processes import start, until


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    close_engines()


def command(*words: object) -> Result:
    return CliRunner().invoke(app, ["fetch", *map(str, words)])


@pytest.mark.parametrize("pair", ["folder", "s3"], indirect=True)
def test_the_command_prints_what_is_there_and_says_what_is_not(pair: Pair, tmp_path: Path) -> None:
    put_images(pair.images, 3)
    folder, out = job_of(pair.source, pair.target, pair.url), tmp_path / "got"
    where = ["--endpoint-url", pair.url] if pair.url else []
    found = command(pair.target, out, *where)
    assert found.exit_code == 0, found.output
    names = [f"{out}/{name}.png" for name in ("0/0000", "0/0002", "1/0001")]
    assert sorted(found.stdout.splitlines()) == names
    assert f"{folder}/: demo openvino fp32, png" in found.stderr
    assert "3 done in" in found.stderr
    (png,) = (
        each.key
        for each in pair.results.listed("")
        if "0002.png." in each.key[:-5] and each.key.endswith(".png")
    )
    pair.results.remove(png)
    (out / "0/0002.png").unlink()
    again = command(pair.target, out, *where)
    assert again.exit_code == 3
    assert "failed: 0/0002.png: 0002.png." in again.stderr
    assert "2 already there, 1 failed in" in again.stderr


def test_a_fetched_result_is_exported(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_images(pair.images, 1)
    job_of(pair.source, pair.target)
    assert command(pair.target, tmp_path / "got").exit_code == 0
    words = (tmp_path / "got/0/0000.json", "--preset", "midas", "--to", tmp_path / "exported")
    assert run(monkeypatch, *map(str, words)) == 0
    assert (tmp_path / "exported/0000.pfm").stat().st_size > 4 * 20 * 30


def killed(pair: Pair, place: Path, out: Path, results: int) -> subprocess.Popen[str]:
    """A fetch that is killed when so many results are there."""
    job = start(place, "-m", "serve", "fetch", pair.target, out)

    def enough() -> bool:
        return sum(1 for _ in out.rglob("*.json")) >= results

    assert until(lambda: enough() or job.poll() is not None, 60)
    job.send_signal(signal.SIGKILL)
    job.wait()
    return job


def test_a_killed_fetch_leaves_whole_files_and_goes_on(pair: Pair, tmp_path: Path) -> None:
    making = replace(MAKING, formats=(), preset="iw3")
    put_images(pair.images, 120)
    job_of(pair.source, pair.target, making=making)
    out = tmp_path / "got"
    wanted = folder_job(pair.images, tmp_path / "folder", making, make_engine())
    assert killed(pair, tmp_path, out, 20).returncode == -signal.SIGKILL
    there = {name: each for name, each in files_in(out).items() if not name.endswith(".tmp")}
    assert 0 < len(there) < len(wanted)
    assert {name for name, each in there.items() if wanted[name] != each} == set()
    assert command(pair.target, out).exit_code == 0
    assert differing(files_in(out), wanted) == []
