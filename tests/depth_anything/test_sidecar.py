"""The sidecar by a model's name: what is found in SimplePicture3D's folder, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from compile.errors import BuildError
from compile.weights import BUNDLED
from depth.errors import DownloadError
from depth_anything import commands
from depth_anything.sidecar import find_licence, find_stage, main
from serve import cli as serve_cli
from serve.sidecar.models import Wanted
from tests.support.commands import Ended
from tests.support.hostile import encoded, picture
from tests.support.on_demand import compile_in_this_process
from tests.support.sidecars import called
from tests.support.stored_artifacts import make


@pytest.fixture(name="models")
def models_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of models. The user has no other weights."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("compile.weights.find", lambda *_: None)
    for name in ("DEPTH_MODEL_PATH", "SP3D_USE_STUB"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "home" / ".simplepicture3d" / "models"
    folder.mkdir(parents=True)
    return folder


def licence(model: str) -> str:
    return find_licence(Wanted(model=model))


def test_the_command_takes_the_place_of_serves() -> None:
    names = [each.name for each in serve_cli.app.registered_commands]
    assert [each.name for each in commands._serve.registered_commands].count("sidecar") == 1
    assert {each.name for each in commands._serve.registered_commands} == set(names)
    callbacks = {each.name: each.callback for each in serve_cli.app.registered_commands}
    ours = {each.name: each.callback for each in commands._serve.registered_commands}
    assert ours["sidecar"] is not callbacks["sidecar"]
    assert ours["doctor"] is callbacks["doctor"]
    shown = CliRunner().invoke(commands.app, ["serve", "sidecar", "--help"]).stdout
    assert "--no-model" in shown


@pytest.mark.parametrize(
    "name", ["vits", "depth-anything/Depth-Anything-V2-Small-hf", "depth_anything_v2_vits.pth"]
)
def test_a_model_has_the_name_that_its_users_know(models: Path, name: str) -> None:
    assert not list(models.iterdir())
    said = licence(name)
    assert said.startswith("vits: Apache-2.0 (")
    assert "not there yet" in said
    assert licence("Depth-Anything-V2-Large-hf").startswith("vitl: CC-BY-NC-4.0")


@pytest.mark.parametrize("place", ["demo/model.safetensors", "demo.safetensors", "my.safetensors"])
def test_weights_in_the_folder_are_found_by_name_or_dimensions(models: Path, place: str) -> None:
    (models / place).parent.mkdir(exist_ok=True)
    shutil.copy(BUNDLED, models / place)
    name = "someone/demo" if place.startswith("demo/") else place
    assert licence(name).startswith("demo: ")
    assert Path(place).name in licence(name)
    assert licence(str(models / place)).startswith("demo: ")


def test_an_artifact_in_the_folder_comes_first(models: Path) -> None:
    folder = make(models).folder
    manifest = json.loads((folder / "manifest.json").read_text())
    line = find_licence(Wanted())
    assert line.startswith(f"{manifest['model']}: {manifest['checkpoint']['licence']}")
    assert licence(folder.name) == line


def test_weights_of_no_model_are_refused(models: Path) -> None:
    (models / "odd.safetensors").write_bytes(bytes(100))
    with pytest.raises(ValueError, match="weights of no model known here"):
        licence("odd.safetensors")
    with pytest.raises(ValueError, match="no artifact, no weights and no model"):
        licence("nothing-of-that-name")
    with pytest.raises(ValueError, match="no artifact, no weights and no model"):
        licence(str(models / "gone.safetensors"))


def test_without_weights_it_fails_and_no_other_model_answers(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def refuse(_file: object, folder: Path) -> None:
        asked.append(folder)
        raise DownloadError("no network")

    monkeypatch.setattr("compile.weights.fetch", refuse)
    with pytest.raises(Exception, match="no weights for vits: no network"):
        find_stage(Wanted())
    assert asked == [models]


def run(*words: object) -> Ended:
    return called(main, "depth serve sidecar", *words)


@pytest.mark.long
def test_weights_become_programs_that_the_next_image_finds(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_in_this_process(monkeypatch)
    shutil.copy(BUNDLED, models / "demo.safetensors")
    (tmp_path / "a.png").write_bytes(encoded(picture(30, 40), "PNG"))
    words = ("--model", "demo.safetensors", "--input", tmp_path / "a.png")
    found = run(*words)
    assert found.code == 0, found.err
    assert (json.loads(found.out)["height"], json.loads(found.out)["width"]) == (30, 40)
    assert list((models.parent / "artifacts").glob("demo-openvino-*"))

    def no_build(*_: object) -> None:
        raise AssertionError("built again")

    monkeypatch.setattr("compile.on_demand.run_until", no_build)
    assert run(*words).out == found.out


def test_a_build_that_fails_is_one_line(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise BuildError("could not compile")

    monkeypatch.setattr("compile.on_demand.run_until", fail)
    shutil.copy(BUNDLED, models / "demo.safetensors")
    (tmp_path / "a.png").write_bytes(encoded(picture(30, 40), "PNG"))
    found = run("--model", "demo.safetensors", "--input", tmp_path / "a.png")
    assert (found.code, found.out) == (1, "")
    assert found.err.splitlines()[-1] == "error: could not compile"
    assert "Traceback" not in found.err
