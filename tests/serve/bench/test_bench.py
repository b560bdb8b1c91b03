"""`serve bench`: what it counts, that it is fair, and that it refuses what it cannot compare."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from depth.artifact.manifest import Artifact, Gate, read_artifact
from depth.artifact.program import ProgramKey
from depth.errors import ArtifactError, InputError
from depth.maps.result import FloatArray
from serve.arrays import Arrays
from serve.bench.cli import bench
from serve.bench.folder import folder_measure
from serve.bench.network import images_per_s, latencies_ms, noise
from serve.bench.run import common_size
from serve.bench.samples import percentiles, ratio
from serve.bench.turns import take_turns
from serve.errors import NoImagesError, ProgramError, RefusedError
from serve.library import Library
from tests.support.hostile import encoded, picture
from tests.support.manifests import FOLDED_STEPS, made_artifact, made_manifest, written
from tests.support.places import ROOT
from tests.support.programs import make_artifact

SIZE = (56, 70)
app = typer.Typer()
app.command()(bench)


def run(*arguments: object) -> str:
    return CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False).stdout


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return make_artifact(tmp_path_factory.mktemp("artifacts"), sizes=[SIZE])


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for seed in range(2):
        (folder / f"{seed}.jpg").write_bytes(encoded(picture(seed=seed), "JPEG"))
    return folder


class Slow:
    """A program that ends when `at_once` runs have come together, and takes 5 ms at least."""

    def __init__(self, at_once: int) -> None:
        self.runs = 0
        self._together = threading.Barrier(at_once)

    def run(self, arrays: Arrays) -> dict[str, FloatArray]:
        self.runs += 1
        time.sleep(0.005)
        self._together.wait(timeout=60)
        return {"depth": arrays["images"][:, 0]}


def test_percentiles_are_over_the_samples_of_all_rounds() -> None:
    rounds = [list(range(51)), list(range(51, 101))]
    assert percentiles(rounds) == (50, 95, 99)


def test_a_ratio_is_of_medians_and_has_the_range_of_single_rounds() -> None:
    found = ratio([[4.0], [9.0], [10.0]], [[2.0], [3.0], [10.0]])
    assert (found.middle, found.low, found.high) == (3.0, 1.0, 3.0)
    assert str(found) == "3.00 (1.00 to 3.00)"


def test_measurements_take_turns_and_the_warm_up_does_not_count() -> None:
    order: list[str] = []

    def measure(name: str) -> int:
        order.append(name)
        return len(order)

    said: list[str] = []
    found = take_turns([lambda: measure("a"), lambda: measure("b")], 2, 1, said.append)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert found == [[4, 5], [3, 6]]
    assert said == ["warm-up", "round 1 of 2", "round 2 of 2"]


def test_latency_is_per_run_and_throughput_runs_in_as_many_threads_as_asked() -> None:
    tensor = {"images": np.zeros((1, 3, 2, 2), np.float32)}
    program = Slow(1)
    found = latencies_ms(program, tensor, 4)
    assert len(found) == program.runs == 4
    assert min(found) >= 5
    assert 0 < images_per_s(Slow(1), tensor, 12, 1) < 201
    assert 0 < images_per_s(Slow(4), tensor, 12, 4) < 801


def test_a_program_that_normalises_gets_pixels() -> None:
    both = made_manifest(), made_manifest(steps=FOLDED_STEPS)
    tensors = [noise(made_artifact(manifest), SIZE)["images"] for manifest in both]
    assert tensors[0].shape == tensors[1].shape == (1, 3, *SIZE)
    assert abs(tensors[0]).max() < 4
    assert tensors[1].max() > 200


def test_measuring_an_openvino_program_loads_no_torch(artifact: Artifact) -> None:
    code = (
        "import sys; from serve.bench import cold; import serve.bench.run, serve.bench.table; "
        f"cold.main({str(artifact.folder)!r}, '56', '70', '1'); sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(done.stdout.splitlines()) == 2


def test_a_folder_is_measured_until_its_files_are_there(artifact: Artifact, images: Path) -> None:
    with folder_measure(Library([artifact]), images) as measure:
        assert 0 < measure() < 60
    assert sorted(path.name for path in images.iterdir()) == ["0.jpg", "1.jpg"]


def test_a_folder_in_which_an_image_fails_is_not_measured(
    artifact: Artifact, tmp_path: Path
) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"not a picture")
    with folder_measure(Library([artifact]), tmp_path) as measure:
        pytest.raises(ProgramError, measure).match(r"bad\.jpg: .*not an image")


def sizes(folder: Path, *pairs: tuple[int, int]) -> Artifact:
    keys = [ProgramKey(*pair, batch) for pair in pairs for batch in (4, 1)]
    return made_artifact(made_manifest([ProgramKey(98, 98, 4), *keys]), folder)


@pytest.mark.parametrize(
    ("wanted", "expected"), [(None, (70, 56)), ((70, 56), (70, 56)), ((56, 70), None)]
)
def test_two_artifacts_are_measured_at_a_size_that_both_have(
    wanted: Optional[tuple[int, int]], expected: Optional[tuple[int, int]]
) -> None:
    both = [sizes(Path("a"), (56, 70), (70, 56)), sizes(Path("b"), (70, 56))]
    if expected:
        assert common_size(both, wanted) == expected
        return
    with pytest.raises(InputError, match="56x70; there are a: 56x70, 70x56; b: 70x56"):
        common_size(both, wanted)


def test_artifacts_without_a_common_size_are_refused() -> None:
    with pytest.raises(InputError, match="no program of batch 1 for one size in every artifact"):
        common_size([sizes(Path("a"), (56, 70)), sizes(Path("b"), (70, 56))])


@pytest.mark.long
def test_two_artifacts_in_one_run(artifact: Artifact, images: Path, tmp_path: Path) -> None:
    other = read_artifact(shutil.copytree(artifact.folder, tmp_path / "other"))
    file = tmp_path / "samples.json"
    few = ("--rounds", 2, "--warm-up", 0, "--runs", 3, "--starts", 1, "--streams", 2)
    text = run(artifact.folder, other.folder, "--images", images, *few, "--json", file)
    rows = {line.split("  ")[0]: line for line in text.splitlines() if line}
    assert [artifact.folder.name, other.folder.name, "second / first"] == [
        part.strip() for part in text.split("\n\n")[1].splitlines()[0].split("  ") if part
    ]
    for name in ("cold start to first result, s", "network latency p50, ms"):
        assert rows[name].rstrip().endswith(")"), name
    assert "network latency p99, ms" in rows
    assert "network, images/s, 2 at once" in rows
    assert "folder to depth files, s per image" in rows
    found = json.loads(file.read_text())
    assert found["machine"]["cpu"]["cores"] >= 1
    assert found["machine"]["versions"]["python"].startswith("3.")
    for result in found["results"]:
        assert [len(samples) for samples in result["latency_ms"]] == [3, 3]
        assert [len(samples) for samples in result["images_per_s"]["2"]] == [1, 1]
        assert len(result["cold_starts"]) == 1
        assert result["state"] == "verified"


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (["--size", "98x98"], "no program of batch 1 for 98x98"),
        (["--images", "no/such/folder"], "not a folder"),
        (["--json", "no/such/file.json"], "no such folder to write file.json to"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_cannot_be_measured_is_refused_before_it_begins(
    artifact: Artifact, more: Sequence[str], text: str
) -> None:
    with pytest.raises(InputError, match=text):
        run(artifact.folder, *more)


def test_an_empty_folder_is_refused_before_it_begins(artifact: Artifact, tmp_path: Path) -> None:
    with pytest.raises(NoImagesError, match="no images in it to measure with"):
        run(artifact.folder, "--images", tmp_path)


def test_an_artifact_of_another_identity_is_not_measured(artifact: Artifact) -> None:
    with pytest.raises(ArtifactError, match="the given identity says 000000000000"):
        run(artifact.folder, "--identity", "0" * 12)


def test_three_artifacts_are_too_many(artifact: Artifact) -> None:
    with pytest.raises(InputError, match="3 artifacts: give one, or two to compare"):
        run(*[artifact.folder] * 3)


@pytest.mark.parametrize(("passed", "option"), [(False, "failed-parity"), (None, "unverified")])
def test_unproven_artifacts_need_a_word(
    passed: Optional[bool], option: str, tmp_path: Path
) -> None:
    made = written(tmp_path, made_manifest(gate=Gate({}, passed)))
    with pytest.raises(RefusedError, match=f"--allow-{option}"):
        run(made.folder)
