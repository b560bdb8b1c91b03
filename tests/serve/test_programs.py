"""The engine on real programs for a CPU: numbers, batches, damaged files."""

from __future__ import annotations

import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compile.build.build import build
from compile.build.request import Request
from compile.untrained import untrained_checkpoint
from depth.artifact.manifest import Artifact, read_artifact
from depth.artifact.program import Program, ProgramKey
from depth.maps.result import FloatArray
from depth.sizes import Size
from depth_anything_v2.config import model_row
from serve.arrays import Arrays
from serve.backend import CPU_STREAMS, open_runtime
from serve.engine import Engine, Prepared
from serve.errors import ProgramError
from serve.folder.job import run_folder
from serve.folder.request import FolderJob
from serve.library import Library
from serve.runtimes.program import Runtime
from serve.shapes import BUCKETS
from tests.support.engines import images_of
from tests.support.folder_jobs import write_images
from tests.support.fresh_python import run_python
from tests.support.models import TINY
from tests.support.schedules import LYING, STANDING

MODEL = model_row(TINY.name, TINY)


def built(out: Path, size: Size, *batches: int) -> Artifact:
    checkpoint = untrained_checkpoint(MODEL)
    return read_artifact(
        build(Request(MODEL, checkpoint, "openvino", "fp32", [size], batches), out)
    )


@pytest.fixture(name="lying", scope="module")
def lying_fixture(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """In batches of 1 and of 4."""
    return built(tmp_path_factory.mktemp("lying"), LYING, 1, 4)


@pytest.fixture(name="standing", scope="module")
def standing_fixture(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return built(tmp_path_factory.mktemp("standing"), STANDING, 1)


def only(artifact: Artifact, batch: int) -> Artifact:
    """Without its programs of other batches."""
    programs = tuple(p for p in artifact.manifest.programs if p.batch == batch)
    return replace(artifact, manifest=replace(artifact.manifest, programs=programs))


_opened: dict[tuple[str, int], Runtime] = {}


def alone(artifact: Artifact, prepared: Prepared, streams: int = CPU_STREAMS) -> FloatArray:
    """What the program of one image gives if nobody else is there."""
    key = artifact.identity, streams
    if key not in _opened:
        stages = artifact.manifest.stages(prepared.served.shape.batch_of(1))
        _opened[key] = open_runtime(artifact, stages, streams)
    images = {name: array[None] for name, array in prepared.arrays.items()}
    return _opened[key].run(images)["depth"][0]


def far(found: FloatArray, expected: FloatArray) -> float:
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def test_side_by_side_each_image_gets_the_bits_that_it_gets_alone(
    lying: Artifact, standing: Artifact
) -> None:
    one = only(lying, 1)
    with Engine(Library([one, standing]), BUCKETS) as engine, ThreadPoolExecutor(6) as pool:
        many = images_of(engine, 24, LYING, STANDING)
        random.Random(0).shuffle(many)
        found = list(pool.map(engine.run, many))
    by_size = {LYING: one, STANDING: standing}
    for raw, prepared in zip(found, many):
        assert np.array_equal(raw.outputs["depth"], alone(by_size[prepared.size], prepared))
        assert raw.network_ms > 0
    assert len({raw.outputs["depth"].tobytes() for raw in found}) == 24


def test_a_single_image_gets_the_same_bits_from_the_whole_cpu(standing: Artifact) -> None:
    with Engine(Library([standing]), BUCKETS) as engine:
        (prepared,) = images_of(engine, 1, STANDING)
        result = engine.result(prepared.source)
    assert np.array_equal(result.depth.values, alone(standing, prepared, streams=1))


@pytest.mark.parametrize("count", [1, 5])
def test_a_program_for_four_images_serves_any_number(lying: Artifact, count: int) -> None:
    with Engine(Library([only(lying, 4)]), BUCKETS) as engine:
        many = images_of(engine, count, LYING)
        pending = [engine.submit(one) for one in many]
        limit = lying.manifest.gate.limits["depth"]["max_rel"]
        assert limit <= 5e-4
        for one, waiting in zip(many, pending):
            assert far(waiting.result()["depth"], alone(lying, one)) < limit
    assert far(alone(lying, many[0]), 1.01 * alone(lying, many[0])) > limit  # the failing side


def test_batches_of_one_and_four_give_the_same_depth(
    lying: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[int] = []

    class Counted:
        def __init__(self, artifact: Artifact, stages: tuple[Program, ...], streams: int) -> None:
            self._runtime = open_runtime(artifact, stages, streams)

        def run(self, arrays: Arrays) -> dict[str, FloatArray]:
            ran.append(len(arrays["images"]))
            return self._runtime.run(arrays)

    monkeypatch.setattr("serve.backend.open_runtime", Counted)
    library = Library([lying])
    assert library.programs == [ProgramKey(*LYING, 1), ProgramKey(*LYING, 4)]
    with Engine(library, BUCKETS) as engine:
        many = images_of(engine, 30, LYING)
        found = [engine.submit(one) for one in many]
        wait_for(found)
        found.append(engine.submit(many[0]))
        assert all(
            far(pending.result()["depth"], alone(lying, one)) < 5e-4
            for pending, one in zip(found, [*many, many[0]])
        )
    assert {1, 4} == set(ran)
    assert sum(ran) >= 31


def damaged(artifact: Artifact, folder: Path) -> Artifact:
    """A copy with one bit of a program changed."""
    shutil.copytree(artifact.folder, folder)
    file = folder / artifact.manifest.programs[0].files[-1].path
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    return read_artifact(folder)


def test_an_altered_program_fails_its_images_and_no_others(
    lying: Artifact, standing: Artifact, tmp_path: Path
) -> None:
    write_images(tmp_path / "in", 4)
    for name in ("tall", "taller"):
        shutil.copy(tmp_path / "in/0/0000.png", tmp_path / f"in/{name}.png")
        turned(tmp_path / f"in/{name}.png")
    library = Library([only(lying, 1), damaged(standing, tmp_path / "damaged")])
    reasons: dict[str, str] = {}
    with Engine(library, BUCKETS) as engine:
        job = FolderJob(tmp_path / "in", tmp_path / "out")
        report = run_folder(engine, job, lambda e, _: reasons.update({e.image: e.reason}))
        (prepared,) = images_of(engine, 1, STANDING)
        with pytest.raises(ProgramError, match="sha256 .* the file is damaged or altered: del"):
            engine.run(prepared)
    assert report.exit_code == 3
    assert {name for name, reason in reasons.items() if reason} == {"tall.png", "taller.png"}
    assert "sha256" in reasons["tall.png"]


def turned(path: Path) -> None:
    Image.open(path).rotate(90, expand=True).save(path)


_RERUN = """
import sys
from typer.testing import CliRunner
from serve.cli import app
done = CliRunner().invoke(app, sys.argv[1:])
loaded = [name for name in ("openvino", "torch", "serve.runtimes.openvino") if name in sys.modules]
print(done.exit_code, loaded, done.output.splitlines()[-1])
"""


def test_a_rerun_of_a_finished_job_loads_no_program_and_no_runtime(
    standing: Artifact, tmp_path: Path
) -> None:
    write_images(tmp_path / "in", 3)
    with Engine(Library([standing]), BUCKETS) as engine:
        assert run_folder(engine, FolderJob(tmp_path / "in", tmp_path / "out")).exit_code == 0
    words = ["folder", standing.folder, "--input", tmp_path / "in", "--output", tmp_path / "out"]
    again = run_python("-c", _RERUN, *map(str, words))
    assert again.stdout.startswith("0 [] 3 already there in "), again.stdout + again.stderr
    (tmp_path / "out/0/0000.json").unlink()  # the failing side: one is to be done
    again = run_python("-c", _RERUN, *map(str, words))
    assert "0 ['openvino', 'serve.runtimes.openvino'] 1 done, 2 already" in again.stdout
