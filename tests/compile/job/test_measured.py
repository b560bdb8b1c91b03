"""Precision auto of a job on a CPU target: the build measures, and a rerun keeps the choice."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from compile.build.fastest.record import FILE
from compile.job.fastest import machine_facts
from compile.job.spec import JobSpec
from compile.job.steps import photographs_hash
from depth.artifact.manifest import read_artifact
from tests.support.fastest import NEW_CPU, OLD_CPU, TIMES, given_cpu, given_times
from tests.support.jobs import (
    JOB,
    command,
    done_before,
    job_folder,
    only_artifact,
    prepare,
    report,
    states,
    top,
)
from tests.support.killed import Kill, killed
from tests.support.quantiser_standin import install, pictures

AUTO = (*JOB, "--precision", "auto")
FASTEST = JobSpec("demo", precision="auto", images="images")


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder after a job for a target with a single precision."""
    folder = tmp_path_factory.mktemp("once")
    with pytest.MonkeyPatch.context() as patch:
        prepare(folder, patch)
        given_cpu(patch, NEW_CPU)
        assert command(*AUTO).code == 0
    return folder


@pytest.fixture(name="empty", autouse=True)
def empty_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A current folder with weights and no photographs."""
    prepare(tmp_path, monkeypatch)
    install(monkeypatch)


@pytest.fixture(name="measured")
def measured_fixture(once: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A copy of the folder of the finished job as the current one; what is measured from now on."""
    given_cpu(monkeypatch, NEW_CPU)
    shutil.copytree(once, ".", dirs_exist_ok=True)
    return given_times(monkeypatch, TIMES)


def test_the_report_has_the_choice_and_its_figures(measured: list[list[str]]) -> None:
    assert measured == []
    (chosen,) = json.loads(Path("out", FILE).read_text())["choices"]
    assert chosen["precision"] == "fp32"
    figures = f"{chosen['candidates'][0]['latency_ms']:.1f} ms, 1.00 times as fast as fp32"
    assert top()["Precision"].startswith("`fp32`, measured error of depth: max_rel ")
    assert top()["Precision"].endswith(f". Chosen by `auto`: {figures}")
    assert top()["Not measured"].startswith("memory, and the speed of programs other than ")
    assert "\n`auto`; the build measures the precisions of this CPU, below.\n" in report()
    assert (
        "\n#### Precision, measured\n\n`auto` takes `fp32`, the fastest within its limit on of "
        f"tomorrow, measured in turns on a made-up scene:\n\n- fp32: {figures}, mean error "
    ) in report()
    assert 'precision = "auto"\n' in (job_folder() / "job.toml").read_text()


def test_a_second_run_measures_nothing(measured: list[list[str]]) -> None:
    before = report().partition("\n## Push\n")[0]
    assert command("job", job_folder() / "job.toml").code == 0
    assert done_before() == ["preflight", "precision", "build"]
    assert measured == []
    assert report().partition("\n## Weights\n")[2].startswith(before.partition("\n## Weights\n")[2])


@pytest.mark.parametrize("changed", ["CPU", "features", "choice"])
def test_a_job_measures_again_on_another_cpu_or_without_its_choice(
    measured: list[list[str]], monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    if changed == "CPU":
        given_cpu(monkeypatch, replace(NEW_CPU, model="of the day after"))
    elif changed == "features":
        given_cpu(monkeypatch, replace(NEW_CPU, features=OLD_CPU.features))
    else:
        Path("out", FILE).unlink()
    assert command(*AUTO).code == 0
    assert "build" not in done_before()
    assert measured == [["fp32"]]


@pytest.mark.long
def test_another_job_keeps_the_choice(measured: list[list[str]]) -> None:
    ended = command(*AUTO, "--batch", "2")
    assert ended.code == 0
    assert "auto: fp32, chosen before on this CPU" in ended.err
    assert measured == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("place", "measurements"),
    [("compile.build.fastest.build:in_turns", 1), ("compile.build.fastest.build:package", 0)],
)
def test_a_killed_job_goes_on(
    monkeypatch: pytest.MonkeyPatch, place: str, measurements: int
) -> None:
    killed(AUTO, Kill(place))
    assert Path("out", FILE).exists() == (not measurements)
    measured = given_times(monkeypatch, TIMES)
    assert command(*AUTO).code == 0
    assert done_before() == ["preflight", "precision"]
    assert len(measured) == measurements
    assert only_artifact().manifest.precision == "fp32"
    assert not list(Path("out").glob(".building-*"))


@pytest.mark.long
def test_a_job_file_takes_the_fastest_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    given_cpu(monkeypatch, NEW_CPU)
    measured = given_times(monkeypatch, TIMES)
    pictures(Path("images"), ("a.png", "b.png", "c.png"))
    lines = ['model = "demo"', 'sizes = ["28x42"]', 'checkpoint = "weights.safetensors"']
    lines += ['images = "images"', 'out = "out"', 'precision = "auto"']
    Path("job.toml").write_text("\n".join(lines))
    ended = command("job", "job.toml")
    assert (ended.code, ended.out) == (0, f"{only_artifact().folder}\n")
    assert only_artifact().manifest.precision == "int8-bf16"
    assert measured == [["fp32", "bf16", "int8-bf16"]]
    assert set(states().values()) == {""}
    assert top()["Precision"].startswith("`int8-bf16`, measured error of depth: ")
    assert top()["Precision"].endswith("Chosen by `auto`: 40.0 ms, 2.50 times as fast as fp32")
    assert "\n- bf16: 50.0 ms, 2.00 times as fast as fp32, mean error " in report()
    assert ", measured in turns on 3 photograph(s):\n" in report()

    install(monkeypatch, package="opencv-python-headless")  # as another version of NNCF
    ended = command("job", "job.toml")
    assert ended.code == 0
    assert done_before() == []
    assert len(measured) == 1
    assert read_artifact(Path(ended.out.strip())).manifest.precision == "int8-bf16"


def test_what_calibrates_counts_if_this_cpu_can_take_int8(monkeypatch: pytest.MonkeyPatch) -> None:
    given_cpu(monkeypatch, NEW_CPU)
    assert sorted(machine_facts(FASTEST)) == ["cpu", "cpu_features", "numpy"]
    assert machine_facts(replace(FASTEST, precision="fp32")) == {}
    assert machine_facts(replace(FASTEST, target="inf1")) == {}
    given_cpu(monkeypatch, OLD_CPU)
    assert machine_facts(FASTEST) == {"cpu": "old", "cpu_features": "avx2"}


def test_images_to_calibrate_on_count_if_this_cpu_can_take_int8(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = pictures(Path("images"), [f"{letter}.png" for letter in "abcdefg"])
    for cpu, counts in ((NEW_CPU, True), (OLD_CPU, False)):
        given_cpu(monkeypatch, cpu)
        before = photographs_hash(FASTEST)
        pictures(images, ["g.png"], seed=4 + counts)
        assert (photographs_hash(FASTEST) != before) is counts
