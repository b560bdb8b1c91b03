"""Presets of the sidecar: files in an answer, refused before work where the model cannot."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from depth.family import METRES, RELATIVE_INVERSE
from depth.steps.focal import FocalAsked
from serve.sidecar import oneshot
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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--preset", "midas"), "ends in .pfm, such as a.pfm"),
        (("--preset", "midas", "--output-file", "a.png"), "ends in .pfm"),
        (("--preset", "midas", "--output-file", "{}/.pfm"), "ends in .pfm"),
        (("--preset", "iw3", "--output-file", "{}/a.png"), "serve folder --preset"),
        (
            ("--preset", "midas", "--output-file", "{}/a.pfm", "--values", "native"),
            "--values out",
        ),
        (
            ("--preset", "colmap", "--output-file", "{}/a.png.geometric.bin"),
            "depth_maps/a.png.geometric.bin",
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


@pytest.mark.parametrize("inside", [False, True])
def test_the_normals_of_colmap_lie_in_the_folder_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: bool
) -> None:
    depths = tmp_path / "depth_maps"
    depths.mkdir()
    monkeypatch.chdir(depths if inside else tmp_path)
    path = Path("" if inside else "depth_maps", "a.png.geometric.bin")
    result = result_of(VALUES, METRES)
    oneshot._write_preset(path, "colmap", result, PresetMaker(METRES, FocalAsked(50.0)))
    assert path.read_bytes().startswith(b"17&31&1&")
    normals = tmp_path / "normal_maps/a.png.geometric.bin"
    assert normals.read_bytes().startswith(b"17&31&3&")


def test_a_worker_takes_the_preset_from_its_requests() -> None:
    found = called(main, "sidecar", "--no-model", "--worker", "--preset", "midas")
    assert found.code == 2
