"""The one-shot command keeps SimplePicture3D's contract, and never makes up a depth."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from depth.artifact.manifest import read_artifact
from depth.images.read import decode_image
from depth.presets.values import near1
from serve.backend import open_runtime
from serve.engine import Engine
from serve.library import Library
from serve.shapes import BUCKETS
from serve.sidecar.cli import main
from serve.sidecar.formats import read_raw
from tests.support.commands import Ended
from tests.support.engines import Programs
from tests.support.hostile import encoded, picture
from tests.support.programs import make_artifact
from tests.support.sidecars import called
from tests.support.stored_artifacts import make

PNG = encoded(picture(56, 70), "PNG")
STAGES = ["loading_image", "loading_model", "model_license", "inference", "writing_output"]


@pytest.fixture(name="artifact", scope="module")
def artifact_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_artifact(tmp_path_factory.mktemp("artifacts")).folder


@pytest.fixture(name="image")
def image_fixture(tmp_path: Path) -> Path:
    (tmp_path / "a.png").write_bytes(PNG)
    return tmp_path / "a.png"


@pytest.fixture(autouse=True)
def _no_models_of_this_user_and_quick_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.backend.open_runtime", Programs())
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("DEPTH_MODEL_PATH", "SP3D_USE_STUB"):
        monkeypatch.delenv(name, raising=False)


def call(*words: object) -> Ended:
    return called(main, "python -m serve sidecar", *words)


def last_line(found: Ended) -> str:
    assert (found.code, found.out) == (1, "")
    return found.err.splitlines()[-1]


def wanted(artifact: Path) -> Any:
    with Engine(Library([read_artifact(artifact)]), BUCKETS) as engine:
        return engine.result(decode_image(PNG, "a.png"))


def test_stdout_is_one_json_with_the_engines_numbers_from_0_to_1(
    artifact: Path, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.backend.open_runtime", open_runtime)  # the network itself
    found = call(artifact, "--input", image)
    assert found.code == 0
    data = json.loads(found.out)
    assert list(data) == ["height", "width", "depth"]
    assert (data["height"], data["width"], len(data["depth"])) == (56, 70, 56 * 70)
    exact = near1(wanted(artifact).depth).ravel()
    assert np.abs(np.array(data["depth"]) - exact).max() <= 5.1e-7
    assert (min(data["depth"]), max(data["depth"])) == (0.0, 1.0)


def test_stderr_has_progress_and_stages_and_nothing_else(artifact: Path, image: Path) -> None:
    lines = call(artifact, "--input", image).err.splitlines()
    percent = [int(line.split()[1]) for line in lines if line.startswith("PROGRESS ")]
    assert percent == sorted(percent)
    assert (percent[0] >= 0, percent[-1]) == (True, 100)
    stages = [line[6:].partition(":")[0] for line in lines if line.startswith("STAGE ")]
    assert stages == STAGES
    assert len(percent) + len(stages) == len(lines)


@pytest.mark.parametrize("by", ["option", "environment"])
def test_a_stub_is_made_only_if_asked_for_and_is_marked(
    image: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    if by == "environment":
        monkeypatch.setenv("SP3D_USE_STUB", "True")
    found = call("--input", image, *(["--no-model"] if by == "option" else []))
    data = json.loads(found.out)
    assert data["stub"] is True
    assert (data["height"], data["width"], len(data["depth"])) == (56, 70, 56 * 70)
    assert (data["depth"][0], data["depth"][-1]) == (0.0, 1.0)
    assert "warning: stub depth was asked for" in found.err


def test_without_a_model_it_fails_and_says_what_to_do(
    image: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SP3D_USE_STUB", "0")
    line = last_line(call("--input", image))
    assert line.startswith(f"error: no artifact in {tmp_path}/home/.simplepicture3d/models")
    assert "DEPTH_MODEL_PATH" in line
    monkeypatch.setenv("DEPTH_MODEL_PATH", "someone/a-model")
    assert "someone/a-model or" in last_line(call("--input", image))


@pytest.mark.parametrize("by", ["only", "model", "name", "variable", "path", "folder"])
def test_the_model_folder_is_looked_into(
    artifact: Path, image: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, by: str
) -> None:
    folder = tmp_path / "home" / ".simplepicture3d" / "models"
    folder.mkdir(parents=True)
    (folder / artifact.name).symlink_to(artifact)
    words: dict[str, list[object]] = {
        "only": [],
        "model": ["--model", f"someone/{artifact.name}"],
        "name": ["--model", "demo"],
        "variable": [],
        "path": ["--model", artifact],
        "folder": ["--model", folder],
    }
    if by == "variable":
        monkeypatch.setenv("DEPTH_MODEL_PATH", str(artifact))
    found = call("--input", image, *words[by])
    assert found.code == 0, found.err
    assert "stub" not in json.loads(found.out)


def test_several_models_in_the_folder_are_a_choice_that_is_not_made(
    artifact: Path, image: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "home" / ".simplepicture3d" / "models"
    folder.mkdir(parents=True)
    other = make(folder).folder
    (folder / artifact.name).symlink_to(artifact)
    line = last_line(call("--input", image))
    assert "has several models" in line
    assert other.name in line
    assert artifact.name in line
    assert call("--input", image, "--model", artifact.name).code == 0


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty (0 bytes)"),
        (b"GIF89a" + bytes(50), "Expected a complete JPEG"),
        (PNG[:60], "truncated"),
    ],
)
def test_a_bad_image_is_said_on_the_last_line(
    artifact: Path, image: Path, data: bytes, said: str
) -> None:
    image.write_bytes(data)
    line = last_line(call(artifact, "--input", image))
    assert line.startswith("error: ")
    assert said in line


def test_what_is_no_image_file_is_refused(artifact: Path, tmp_path: Path) -> None:
    assert "No such file" in last_line(call(artifact, "--input", tmp_path / "b.png"))
    assert "a folder" in last_line(call(artifact, "--input", tmp_path))
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in last_line(call(artifact, "--input", tmp_path / "pipe"))
    assert "--input is missing" in last_line(call(artifact))


def test_usage_has_exit_code_2(image: Path) -> None:
    for words in (["--bogus"], ["--values", "x"], ["--worker", "--input", image]):
        assert call(*words).code == 2


def test_an_image_comes_from_stdin_too(
    artifact: Path, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_file = call(artifact, "--input", image).out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(PNG)))
    assert call(artifact, "--input", "-").out == of_file
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert "stdin: empty" in last_line(call(artifact, "--input", "-"))


@pytest.mark.parametrize("values", ["near1", "native"])
def test_a_file_has_all_digits_and_stdout_its_facts(
    artifact: Path, image: Path, tmp_path: Path, values: str
) -> None:
    exact = wanted(artifact).depth
    if values == "near1":
        numbers, kind = near1(exact), "near1"
    else:
        numbers, kind = exact.values, exact.kind
    for suffix in (".f32", ".npy"):
        file = tmp_path / f"depth{suffix}"
        found = call(artifact, "--input", image, "--output-file", file, "--values", values)
        facts = json.loads(found.out)
        assert facts == {
            "height": 56,
            "width": 70,
            "values": kind,
            "unit": None,
            "output_file": str(file),
        }
        data = file.read_bytes()
        read = read_raw(data).values if suffix == ".f32" else np.load(io.BytesIO(data))
        assert np.array_equal(read, numbers)
    assert read_raw((tmp_path / "depth.f32").read_bytes()).kind == kind


def test_a_json_file_is_what_stdout_would_have(artifact: Path, image: Path, tmp_path: Path) -> None:
    call(artifact, "--input", image, "--output-file", tmp_path / "a.json")
    assert (tmp_path / "a.json").read_text() == call(artifact, "--input", image).out


def test_outputs_that_cannot_be_are_refused(artifact: Path, image: Path, tmp_path: Path) -> None:
    words = (artifact, "--input", image)
    assert "ends in .json, .npy or .f32" in last_line(call(*words, "-o", tmp_path / "a.png"))
    assert "from 0 to 1" in last_line(call(*words, "--values", "native"))
    assert "cannot be written" in last_line(call(*words, "-o", tmp_path / "no" / "a.f32"))


def test_an_error_that_nobody_expected_is_one_line_too(
    artifact: Path, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("x/0")

    monkeypatch.setattr("serve.sidecar.writing.as_json", fail)
    assert last_line(call(artifact, "--input", image)) == "error: ZeroDivisionError: x/0"
    monkeypatch.setattr("serve.sidecar.writing.as_json", _out_of_memory)
    assert "out of memory" in last_line(call(artifact, "--input", image))


def _out_of_memory(*_: object) -> None:
    raise MemoryError


def test_the_licence_is_of_the_model_that_answers(artifact: Path) -> None:
    found = call(artifact, "--show-license")
    assert (found.code, found.out.startswith("demo: ")) == (0, True)
    assert call("--show-license", "--no-model").out == "stub: no model, so no licence applies\n"
    assert "no artifact in" in last_line(call("--show-license"))
