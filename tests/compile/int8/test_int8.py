"""Precision int8 around what quantises: a stand-in for that, so it runs where NNCF cannot."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from compile.build.build import build
from compile.errors import BuildError, ParityError
from compile.int8.images import choose
from compile.int8.layers import FLOAT_LAYERS, Quantisation, check_float_layers, is_part
from compile.job.spec import JobSpec
from compile.job.steps import photographs_hash
from compile.targets.protocols import Limit
from compile.targets.table import TARGETS, ready
from depth.artifact.manifest import Artifact, read_artifact
from depth.errors import InputError
from tests.support.jobs import command
from tests.support.networks import TINY, network, request
from tests.support.quantiser_standin import Call, install, pictures

NAMES = ("a.png", "b.png", "c.png", "d.png", "e.png")
SMALL = (28, 42)
COMMAND = ("build", "--model", "demo", "--checkpoint", "untrained", "--precision", "int8")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    return install(monkeypatch)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return pictures(tmp_path / "images", NAMES)


def built(
    out: Path, images: Path, layers: tuple[str, ...] = FLOAT_LAYERS, **changes: object
) -> Artifact:
    gate, calibration = choose(images, 2)
    asked = request(
        target="openvino",
        precision="int8",
        sizes=[SMALL],
        photographs=gate,
        quantisation=Quantisation(calibration, layers),
    )
    return read_artifact(build(replace(asked, **changes), out))  # type: ignore[arg-type]


def test_the_manifest_tells_what_made_it(tmp_path: Path, calls: list[Call], images: Path) -> None:
    artifact = built(tmp_path / "out", images)
    m = artifact.manifest
    calibration = choose(images, 2)[1]
    assert (m.precision, m.gate.passed) == ("int8", True)
    assert m.flags == (
        "INFERENCE_PRECISION_HINT=f32",
        "standin=1",
        "float_layers=decoder,encoder.patch_embed",
        "calibration_images=3",
        f"calibration_sha256={calibration.sha256}",
    )
    assert {"numpy", "openvino"} <= set(m.versions)
    (call,) = calls
    assert call.float_layers == FLOAT_LAYERS
    assert [one["images"].shape for one in call.inputs] == [
        (1, 3, *SMALL)
    ] * 4  # a plain one beside them


@pytest.mark.usefixtures("calls")
def test_the_reports_tell_the_images(tmp_path: Path, images: Path) -> None:
    (images / "f.png").write_bytes(b"no image")
    folder = built(tmp_path / "out", images).folder
    told = json.loads((folder / "report.json").read_text())["calibration"]
    assert {image["name"] for image in told["images"]} == {"c.png", "d.png", "e.png"}
    assert told["unreadable"] == 1
    assert (
        "Calibrated on 3 images, of which parity sees none; 1 more could"
        in (folder / "report.md").read_text()
    )
    assert str(images) not in (folder / "report.json").read_text()


@pytest.mark.long
def test_layers_are_chosen_where_none_is_named(
    tmp_path: Path, calls: list[Call], images: Path
) -> None:
    """The stand-in makes no error, so that everything is in int8."""
    artifact = built(tmp_path / "out", images, layers=())
    (call,) = calls  # the graph of the trials is the program's own
    assert call.float_layers == ()
    assert "float_layers=" in artifact.manifest.flags
    layers = json.loads((artifact.folder / "report.json").read_text())["layers"]
    assert layers["float"] == []
    assert [trial["name"] for trial in layers["choice"]["trials"]] == ["decoder", "encoder"]
    text = (artifact.folder / "report.md").read_text()
    assert "Float layers: none. Chosen by measurement: 100 % of the multiply-accumulates" in text


@pytest.mark.long
def test_layers_are_chosen_once_for_all_programs(
    tmp_path: Path, calls: list[Call], images: Path
) -> None:
    built(tmp_path / "out", images, layers=(), sizes=[SMALL, (42, 28)], batches=[1, 2])
    shapes = [call.inputs[0]["images"].shape for call in calls]
    assert shapes == [(1, 3, 28, 42), (2, 3, 28, 42), (1, 3, 42, 28), (2, 3, 42, 28)]


def test_stages_on_their_own_have_fixed_layers(
    tmp_path: Path, calls: list[Call], images: Path
) -> None:
    artifact = built(tmp_path / "out", images, layers=(), split=True)
    assert [call.float_layers for call in calls] == [FLOAT_LAYERS] * 2
    assert f"float_layers={','.join(FLOAT_LAYERS)}" in artifact.manifest.flags


@pytest.mark.long
@pytest.mark.usefixtures("calls")
def test_where_no_layer_stays_within_the_limit_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: Path
) -> None:
    monkeypatch.setattr("compile.int8.trials.MARGINS", (-1.0,))
    with pytest.raises(BuildError, match="no part of the network stays within the limit in int8"):
        built(tmp_path / "out", images, layers=())
    assert list((tmp_path / "out").iterdir()) == []


def test_flags_change_with_images_and_layers(images: Path) -> None:
    def flags(*layers: str) -> tuple[str, ...]:
        return Quantisation(choose(images, 2)[1], layers).flags()

    first = flags("decoder")
    assert flags("decoder") == first
    assert flags("encoder") != first
    pictures(images, ["e.png"], seed=5)
    assert flags("decoder") != first


def test_batches_and_stages_are_calibrated_on_what_they_get(
    tmp_path: Path, calls: list[Call], images: Path
) -> None:
    built(tmp_path / "out", images, batches=[3], split=True)
    encoder, decoder = calls
    assert [one["images"].shape for one in encoder.inputs] == [(3, 3, *SMALL)] * 2
    assert [one["features"].shape for one in decoder.inputs] == [(3, 2 * 3, 4 * TINY.embed_dim)] * 2


def test_programs_that_normalise_themselves_are_calibrated_on_levels(
    tmp_path: Path, calls: list[Call], images: Path
) -> None:
    built(tmp_path / "out", images, variants=["normalisation"])
    assert 100 < calls[0].inputs[0]["images"].max() < 300


def test_over_the_limit_nothing_is_written_and_the_message_gives_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: Path
) -> None:
    install(monkeypatch, limit=Limit(1e-12, 1e-12, 1e-12, 1e-12))
    text = "28x42-b1: .*max_rel.*Nothing is written. Try more photographs .*--float-layers.*bf16"
    with pytest.raises(ParityError, match=text):
        built(tmp_path / "out", images)
    assert list((tmp_path / "out").iterdir()) == []


def test_without_its_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, package="no-such-package")
    ready(TARGETS["openvino"], "fp32")
    with pytest.raises(BuildError, match="int8.*no-such-package, which is not .*make setup-int8"):
        ready(TARGETS["openvino"], "int8")


@pytest.mark.usefixtures("calls")
def test_images_and_precision_have_to_fit(tmp_path: Path, images: Path) -> None:
    with pytest.raises(InputError, match="'int8' needs images to calibrate on"):
        built(tmp_path / "out", images, quantisation=None)
    with pytest.raises(InputError, match="'fp32' is not calibrated"):
        built(tmp_path / "out", images, precision="fp32")
    assert not (tmp_path / "out").exists()


def test_float_layers_are_parts_of_the_network_and_not_all_of_it() -> None:
    tiny = network(TINY)
    check_float_layers(tiny, FLOAT_LAYERS)
    check_float_layers(tiny, ("encoder", "decoder.reduce"))
    for name in ("decode", "encoder.blocks.9", ""):
        with pytest.raises(InputError, match=f"--float-layers '{name}': no such part"):
            check_float_layers(tiny, (name,))
    with pytest.raises(InputError, match="nothing is left for int8; name fewer"):
        check_float_layers(tiny, ("encoder", "decoder"))
    assert is_part("encoder.blocks.1.mlp", ("encoder.blocks.1",))
    assert not is_part("encoder.blocks.10.mlp", ("encoder.blocks.1",))


@pytest.mark.usefixtures("calls")
def test_a_job_is_done_again_if_an_image_has_changed(images: Path) -> None:
    spec = JobSpec("demo", precision="int8", images=str(images))
    before = photographs_hash(spec)
    assert photographs_hash(spec) == before
    pictures(images, ["e.png"], seed=4)
    assert photographs_hash(spec) != before
    fp32 = replace(spec, precision="fp32")
    before = photographs_hash(fp32)
    pictures(images, ["e.png"], seed=5)
    assert photographs_hash(fp32) == before


def test_the_command_line(tmp_path: Path, calls: list[Call], images: Path) -> None:
    asked = (*COMMAND, "--size", "28x42", "--out", tmp_path / "out", "--images", images)
    (images / "f.png").write_bytes(b"no image")
    ended = command(*asked, "--float-layers", "decoder", "--float-layers", "encoder.blocks.0")
    assert ended.code == 0
    assert "images of 3:2 (once, about 5 s), calibrated on 2 images, 1 more could not" in ended.err
    assert calls[0].float_layers == ("decoder", "encoder.blocks.0")
    flags = read_artifact(Path(ended.out.strip())).manifest.flags
    assert "float_layers=decoder,encoder.blocks.0" in flags


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--images", "no-such-folder"), "no-such-folder: no image here that can be read"),
        (("--float-layers", "head"), "--float-layers 'head': no such part of the network"),
        (("--precision", "fp32", "--float-layers", "decoder"), "only int8 has such layers"),
        (("--target", "onnx"), "target 'onnx' has no precision 'int8'; choose from fp32"),
    ],
)
def test_impossible_int8_options_are_usage_errors(
    tmp_path: Path, calls: list[Call], images: Path, arguments: tuple[str, ...], text: str
) -> None:
    out = tmp_path / "out"
    ended = command(*COMMAND, "--size", "28x42", "--out", out, "--images", images, *arguments)
    assert ended.code == 2
    assert text in ended.error()
    assert not out.exists() or not list(out.iterdir())
    assert calls == []
