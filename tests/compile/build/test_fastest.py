"""Precision auto: the fastest that passes is taken, and the choice is kept."""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from compile.build.build import build
from compile.build.fastest import build as fastest_build
from compile.build.fastest import record
from compile.build.fastest.build import build_fastest
from compile.build.fastest.record import FILE, Chosen, Key, find
from compile.build.request import Request
from compile.errors import BuildError, ParityError
from compile.int8.images import choose
from compile.int8.layers import Quantisation
from compile.on_demand import Cache
from compile.weights import BUNDLED, Weights
from depth.artifact.manifest import read_artifact
from tests.support.fastest import NEW_CPU, OLD_CPU, TIMES, given_cpu, given_times
from tests.support.jobs import command
from tests.support.networks import request
from tests.support.on_demand import compile_in_this_process
from tests.support.quantiser_standin import install, pictures

pytestmark = pytest.mark.long

SMALL = (28, 42)


@pytest.fixture(autouse=True)
def _new_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    given_cpu(monkeypatch, NEW_CPU)
    given_times(monkeypatch, TIMES)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An artifact of each precision, made once."""
    out = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        install(patch)
        given_cpu(patch, NEW_CPU)
        asked = Asked(out / "images")
        return {name: build(asked(name, ()), out) for name in ("fp32", "bf16", "int8-bf16")}


@pytest.fixture
def _copies(made: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of builds."""

    def copied(request: Request, out: Path, _: object) -> Path:
        source = made[request.precision]
        return Path(shutil.copytree(source, out / source.name, dirs_exist_ok=True))

    monkeypatch.setattr(fastest_build, "build", copied)


class Asked:
    """Requests for the tiny network, and what was asked for."""

    def __init__(self, images: Path, **changes: object) -> None:
        self.images = pictures(images, ("a.png", "b.png", "c.png", "d.png", "e.png"))
        self.changes = changes
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        self.said: list[str] = []

    def __call__(self, precision: str, floats: Sequence[str]) -> Request:
        self.asked.append((precision, tuple(floats)))
        gate, calibration = choose(self.images, 2)
        changes = {"sizes": [SMALL], "photographs": gate, **self.changes}
        made = request(target="openvino", precision=precision, **changes)
        if precision.startswith("int8"):
            return replace(
                made, quantisation=Quantisation(calibration, tuple(floats) or ("decoder",))
            )
        return made

    def build(self, out: Path) -> str:
        """The precision of the artifact, which is the only one in the folder."""
        folder = build_fastest(self, "openvino", out, self.said.append)
        assert folder.parent == out
        return read_artifact(folder).manifest.precision


@pytest.fixture
def asked(tmp_path: Path, _copies: None) -> Asked:
    return Asked(tmp_path / "images")


def kept(out: Path) -> dict[str, object]:
    (chosen,) = json.loads((out / FILE).read_text())["choices"]
    return dict(chosen)


def test_the_fastest_is_taken_and_the_others_are_not_kept(tmp_path: Path, asked: Asked) -> None:
    out = tmp_path / "out"
    assert asked.build(out) == "int8-bf16"
    assert len([path for path in out.iterdir() if path.is_dir()]) == 1
    told = [text.split(", mean error ") for text in asked.said if "times as fast" in text]
    assert [text for text, _ in told] == [
        "auto: fp32: 100.0 ms, 1.00 times as fast as fp32",
        "auto: bf16: 50.0 ms, 2.00 times as fast as fp32",
        "auto: int8-bf16: 40.0 ms, 2.50 times as fast as fp32",
    ]
    for _, errors in told:  # a CPU with bf16 has some
        assert re.fullmatch(r"0\.0\d %, largest 0\.\d\d %", errors)
    assert asked.said[-1] == "auto: chosen int8-bf16"
    assert kept(out)["precision"] == "int8-bf16"
    assert kept(out)["images"] == 2


def test_a_rerun_makes_no_new_choice(
    tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    asked.build(out)
    before = (out / FILE).read_bytes()
    given_times(monkeypatch, {"fp32": 1.0, "bf16": 50.0, "int8-bf16": 40.0})
    again = Asked(tmp_path / "others")
    again.build(out)
    assert again.asked == [("fp32", ()), ("int8-bf16", ("decoder",))]
    assert again.said[0].startswith("auto: int8-bf16, chosen before on this CPU")
    assert (out / FILE).read_bytes() == before


@pytest.mark.parametrize("other", ["cpu", "weights", "code"])
def test_another_cpu_other_weights_or_other_code_need_a_choice_of_their_own(
    tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    out = tmp_path / "out"
    asked.build(out)
    checkpoint = asked("fp32", ()).checkpoint
    if other == "cpu":
        given_cpu(monkeypatch, replace(NEW_CPU, model="of the day after"))
    elif other == "weights":
        asked.changes["checkpoint"] = replace(checkpoint, sha256="0" * 64)
    else:
        monkeypatch.setattr(record, "source_sha256", lambda *_: "0" * 64)
        monkeypatch.setattr(fastest_build, "source_of", lambda *_: "0" * 64)
    given_times(monkeypatch, {**TIMES, "bf16": 10.0})
    assert asked.build(out) == "bf16"
    choices = json.loads((out / FILE).read_text())["choices"]
    assert len(choices) == (1 if other == "code" else 2)


def test_what_is_no_faster_than_a_simpler_precision_is_not_taken(
    tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_times(monkeypatch, {"fp32": 100.0, "bf16": 50.0, "int8-bf16": 49.0})
    assert asked.build(tmp_path / "out") == "bf16"


def test_what_misses_its_limit_is_left_out_with_the_reason(
    tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = fastest_build.build

    def built(request: Request, out: Path, say: object) -> Path:
        if request.precision == "int8-bf16":
            raise ParityError("28x42-b1: too far")
        return copied(request, out, say)  # type: ignore[arg-type]

    monkeypatch.setattr(fastest_build, "build", built)
    assert asked.build(tmp_path / "out") == "bf16"
    (text,) = (text for text in asked.said if "left out" in text)
    assert text == "auto: int8-bf16: left out: 28x42-b1: too far"


def test_a_first_precision_that_misses_its_limit_is_an_error(
    tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise BuildError("no room")

    monkeypatch.setattr(fastest_build, "build", fails)
    with pytest.raises(BuildError, match="no room"):
        asked.build(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_cpu_without_bf16_and_vnni_has_one_precision(
    tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_cpu(monkeypatch, OLD_CPU)
    assert asked.build(tmp_path / "out") == "fp32"
    assert [text for text in asked.said if "left out" in text] == [
        "auto: bf16: left out: this CPU has no bf16",
        "auto: int8: left out: this CPU multiplies 8-bit numbers no faster than float32: no VNNI, "
        "no AMX",
    ]


def test_without_nncf_int8_is_left_out(
    tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, package="no-such-package")
    assert asked.build(tmp_path / "out") == "bf16"
    (text,) = (text for text in asked.said if "left out" in text)
    assert "no-such-package is not installed: `make setup-int8` adds it" in text


@pytest.mark.parametrize("text", ["", "{", '{"format": 1, "choices": [{"precision": "bf16"}]}'])
def test_a_damaged_file_is_no_choice(
    tmp_path: Path, asked: Asked, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / FILE).write_text(text)
    with caplog.at_level(logging.WARNING):
        assert asked.build(out) == "int8-bf16"
    assert f"{FILE}: no choices of precision auto, ignored" in caplog.text
    assert kept(out)["precision"] == "int8-bf16"


def test_jobs_take_what_was_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_in_this_process(monkeypatch)
    images = pictures(tmp_path / "images", ("a.png", "b.png", "c.png"))
    out = tmp_path / "out"
    cache = Cache(out, Weights("demo", BUNDLED), "openvino", "auto", images)
    assert list(cache.artifacts()) == []
    (built,) = cache.build([SMALL])
    assert built.manifest.precision == "int8-bf16"
    assert [artifact.folder for artifact in cache.artifacts()] == [built.folder]
    key = Key.here("depth_anything_v2", "demo", built.manifest.checkpoint.sha256, "openvino")
    assert isinstance(find(out, key), Chosen)


def test_int8_of_a_job_is_what_this_cpu_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_in_this_process(monkeypatch)
    images = pictures(tmp_path / "images", ("a.png", "b.png", "c.png"))
    cache = Cache(tmp_path / "out", Weights("demo", BUNDLED), "openvino", "int8", images)
    (built,) = cache.build([SMALL])
    assert built.manifest.precision == "int8-bf16"
    assert "INFERENCE_PRECISION_HINT=bf16" in built.manifest.flags
    assert [artifact.folder for artifact in cache.artifacts()] == [built.folder]
    given_cpu(monkeypatch, OLD_CPU)
    assert list(cache.artifacts()) == []


def test_the_command_line_of_auto(tmp_path: Path) -> None:
    images = pictures(tmp_path / "images", ("a.png", "b.png", "c.png"))
    asked = ["build", "--model", "demo", "--checkpoint", "untrained", "--precision", "auto"]
    asked += ["--size", "28x42", "--images", str(images), "--out", str(tmp_path / "out")]
    ended = command(*asked, "--float-layers", "decoder")
    assert ended.code == 2
    assert "--float-layers: only int8 has such layers; auto chooses its own" in ended.error()
    ended = command(*asked, "--target", "torchscript")
    assert ended.code == 0
    assert read_artifact(Path(ended.out.strip())).manifest.precision == "fp32"
    assert "auto: chosen fp32" in ended.err
