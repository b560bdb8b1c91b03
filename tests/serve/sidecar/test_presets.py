"""Presets of the sidecar: files in an answer, refused before work where the model cannot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
import pytest

from depth.family import METRES, RELATIVE_INVERSE
from depth.maps.consumer import ListedPreset, Picture
from depth.presets.summary import Done, summary_of
from depth.steps.focal import FocalAsked
from serve.sidecar.cli import main
from serve.sidecar.presets import PresetMaker, in_order, presets_of, said_of
from serve.sidecar.python.answers import depth_of
from tests.serve.folder.test_presets import KEY
from tests.serve.folder.test_schema import engine_of
from tests.serve.sidecar.test_formats import VALUES, result_of
from tests.support.commands import Ended
from tests.support.manifests import METRIC_OUTPUTS, RELATIVE_OUTPUTS, made_manifest
from tests.support.sidecars import PNG, Client, Gate, a_worker, called, connect


def test_an_answer_has_the_file_of_a_preset_and_says_how_it_stores_depth(
    client: Client, gate: Gate
) -> None:
    gate.release.release()
    client.ask("a", preset="3dgs")
    header, payload = client.next("result")
    assert (header["format"], header["stub"]) == ("preset", True)
    said = header["preset"]
    assert (said["name"], said["holds"], said["dtype"]) == ("3dgs", "inverse", "uint16")
    assert said["files"] == [{"role": "depth", "name": "depth.png", "size_bytes": len(payload)}]
    codes = cv2.imdecode(np.frombuffer(payload, np.uint8), -1)
    assert (codes.shape, codes.min(), codes.max()) == ((12, 20), 0, 65535)
    assert said["offset"] + said["scale"] * codes.max() == pytest.approx(1.0)


def test_further_files_follow_in_the_order_that_the_header_says() -> None:
    maker = PresetMaker(METRES, FocalAsked(50.0))
    made = maker.files("ros", result_of(VALUES, METRES), "depth")
    payload = b"".join(data for _, data in in_order(made).values())
    header = {"format": "preset", **json.loads(json.dumps(said_of(made)))}
    files = depth_of(header, bytearray(payload)).files
    assert list(files) == ["depth.tiff", "depth.yaml"]
    assert b"data: [50.0, 0.0, 8.0, 0.0, 50.0, 15.0" in files["depth.yaml"]
    other = maker.files("ros", result_of(VALUES, METRES), "depth", FocalAsked(20.0))
    assert b"data: [20.0, 0.0" in dict(other.files.values())["depth.yaml"]


def test_iw3_has_the_image_beside_its_depth(client: Client, gate: Gate) -> None:
    gate.release.release()
    client.ask("a", preset="iw3")
    header, payload = client.next("result")
    answer = depth_of(header, bytearray(payload))
    assert [each["role"] for each in header["preset"]["files"]] == ["depth", "rgb", "config"]
    assert list(answer.files) == ["depth/depth.png", "rgb/depth.png", "iw3_export.yml"]
    image = cv2.imdecode(np.frombuffer(answer.files["rgb/depth.png"], np.uint8), -1)
    assert (image == cv2.imdecode(np.frombuffer(PNG, np.uint8), -1)).all()
    assert b"rgb_dir: rgb" in answer.files["iw3_export.yml"]
    codes = cv2.imdecode(np.frombuffer(answer.files["depth/depth.png"], np.uint8), -1)
    assert (codes.dtype, codes.shape) == (np.uint16, image.shape[:2])


def test_iw3_of_pixels_has_these_pixels(client: Client, gate: Gate) -> None:
    rgb = np.random.default_rng(1).integers(0, 255, (12, 20, 3)).astype(np.uint8)
    gate.release.release()
    client.ask("a", rgb.tobytes(), preset="iw3", pixels={"height": 12, "width": 20})
    header, payload = client.next("result")
    image = depth_of(header, bytearray(payload)).files["rgb/depth.png"]
    assert (cv2.imdecode(np.frombuffer(image, np.uint8), -1)[:, :, ::-1] == rgb).all()


def test_an_image_that_cannot_be_decoded_is_no_preset_with_an_image(
    client: Client, gate: Gate
) -> None:
    gate.release.release()
    client.ask("a", PNG[:-40], preset="iw3")
    name, kind, _ = client.error()
    assert (name, kind) == ("a", "ImageError")


def answered(maker: PresetMaker, preset: str, kind: str) -> Mapping[str, Any]:
    """What a client reads of an answer."""
    made = maker.files(preset, result_of(VALUES, kind), "depth")
    said: dict[str, Any] = json.loads(json.dumps(said_of(made)))["preset"]
    return said


@pytest.mark.parametrize("preset", ["nerfstudio", "tum"])
def test_a_client_can_make_the_file_of_a_whole_job(preset: str) -> None:
    """By the table of the page: file_path and time are the client's own, the rest is said."""
    said = answered(PresetMaker(METRES), preset, METRES)
    listed = Picture(f"{2.5}.png", 1, "")
    facts = {name: said[name] for name in said if name != "files"}
    whole = ListedPreset(**facts, files={"depth": listed})
    made = summary_of(preset, [Done("2.5.jpg", PurePosixPath(), whole)])
    frame = {"file_path": "2.5.jpg", "depth_file_path": "2.5.png"}
    by_hand = {
        "nerfstudio": json.dumps({"depth_unit_scale_factor": said["scale"], "frames": [frame]}),
        "tum": "# depth maps\n# timestamp filename\n2.5 2.5.png\n",
    }[preset]
    read = json.loads if preset == "nerfstudio" else bytes.decode
    assert made is not None
    assert read(made) == (json.loads(by_hand) if preset == "nerfstudio" else by_hand)


def test_a_client_can_make_the_parameters_of_3dgs_with_a_fit_of_its_own() -> None:
    """As graphdeco's camera code reads codes: code / 2^16 * scale + offset."""
    maker, a, b = PresetMaker(RELATIVE_INVERSE), 0.02, 0.07
    made = maker.files("3dgs", result_of(VALUES), "depth")
    said = said_of(made)["preset"]
    scale, offset = a * said["scale"] * 65536, a * said["offset"] + b
    codes = cv2.imdecode(np.frombuffer(made.files["depth"][1], np.uint8), -1)
    read = codes / 65536 * scale + offset
    assert np.abs(read - (a * VALUES + b)).max() <= 0.51 * a * said["scale"] + 1e-7


def test_an_answer_without_a_preset_has_no_files() -> None:
    assert depth_of({"format": "json"}, bytearray(b"{}")).files == {}


def test_a_preset_that_the_model_cannot_meet_never_begins(tmp_path: Path, gate: Gate) -> None:
    with a_worker(tmp_path, gate, presets=PresetMaker(RELATIVE_INVERSE)) as worker:
        client = connect(worker)
        client.ask("a", preset="kitti")
        header, _ = client.next("error")
        assert header["kind"] == "InputError"
        assert (
            "preset kitti: holds metres, and the model gives relative_inverse" in header["message"]
        )
        assert gate.asked == []
        client.end.close()


def test_the_engine_says_its_kind_of_depth_and_its_camera() -> None:
    for outputs, kind in ((METRIC_OUTPUTS, METRES), (RELATIVE_OUTPUTS, RELATIVE_INVERSE)):
        with engine_of(made_manifest([KEY], outputs=outputs)) as engine:
            assert presets_of(engine) == PresetMaker(kind, engine.focal)


def once(*words: object) -> Ended:
    return called(main, "python -m serve sidecar", "--no-model", *words)


def test_one_image_becomes_the_files_of_a_preset(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    out = tmp_path / "out" / "b.c.depth.json"
    found = once("--input", tmp_path / "a.png", "--preset", "sp3d", "--output-file", out)
    assert found.code == 0, found.err
    facts = json.loads(found.out)
    assert (facts["stub"], facts["height"], facts["width"]) == (True, 12, 20)
    assert facts["preset"]["files"][0]["name"] == "b.c.depth.json"
    assert json.loads(out.read_bytes())["height"] == 12
    assert [path.name for path in out.parent.iterdir()] == [out.name]


@pytest.mark.parametrize("name", ["out/b.png", "out/depth/b.png"])
def test_one_image_becomes_the_folders_of_iw3(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    words = ("--input", tmp_path / "a.png", "--preset", "iw3", "--output-file", tmp_path / name)
    found = once(*words)
    assert found.code == 0, found.err
    out = tmp_path / "out"
    assert json.loads(found.out)["output_file"] == str(out / "depth/b.png")
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert files == {"depth/b.png", "rgb/b.png", "iw3_export.yml"}
    assert (cv2.imread(str(out / "rgb/b.png")) == cv2.imread(str(tmp_path / "a.png"))).all()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--preset", "midas"), "ends in .pfm, such as a.pfm"),
        (("--preset", "midas", "--output-file", "a.png"), "ends in .pfm"),
        (("--preset", "midas", "--output-file", "{}/.pfm"), "ends in .pfm"),
        (("--preset", "iw3", "--output-file", "{}/a.tiff"), "ends in .png, such as a.png"),
        (
            ("--preset", "midas", "--output-file", "{}/a.pfm", "--values", "native"),
            "--values out",
        ),
        (("--preset", "kitti", "--output-file", "{}/k.png"), "holds metres"),
    ],
)
def test_one_image_is_refused_with_the_reason_last(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    found = once("--input", tmp_path / "a.png", *(word.format(tmp_path) for word in words))
    assert (found.code, found.out) == (1, "")
    assert said in found.err.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_worker_takes_the_preset_from_its_requests() -> None:
    found = called(main, "sidecar", "--no-model", "--worker", "--preset", "midas")
    assert found.code == 2
