"""The artifact format: the golden manifest stays readable, everything else is refused in words."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any, Callable

import pytest

from depth.artifact.manifest import dump_manifest, parse_manifest, read_artifact
from depth.artifact.program import ProgramKey
from depth.artifact.steps import Do, Normalise
from depth.errors import ArtifactError
from tests.support.manifests import made_manifest, made_split
from tests.support.places import DATA

GOLDEN = (DATA / "golden-manifest.json").read_bytes()
# Its program files.
FILES = {
    "518x686-b1.xml": b"<net>a</net>\n",
    "518x686-b1.bin": b"twelve bytes",
    "518x518-b4.xml": b"b4\n",
}
Change = Callable[[Any], None]


def written(folder: Path, manifest: bytes = GOLDEN) -> Path:
    (folder / "programs").mkdir(parents=True)
    (folder / "manifest.json").write_bytes(manifest)
    for name, data in FILES.items():
        (folder / "programs" / name).write_bytes(data)
    return folder


def changed(change: Change) -> bytes:
    data = copy.deepcopy(json.loads(GOLDEN))
    change(data)
    return json.dumps(data).encode()


def refusal(data: bytes) -> str:
    with pytest.raises(ArtifactError) as caught:
        parse_manifest(data, "here/manifest.json")
    assert str(caught.value).startswith("here/manifest.json: ")
    assert "compile" in str(caught.value)
    assert "again" in str(caught.value)
    return str(caught.value)


def test_the_golden_manifest_is_the_same_byte_for_byte() -> None:
    assert dump_manifest(parse_manifest(GOLDEN, "golden")) == GOLDEN


def test_fields_of_the_golden_manifest() -> None:
    manifest = parse_manifest(GOLDEN, "golden")
    depth, sky = manifest.outputs
    assert (depth.kind, depth.becomes, depth.unit, depth.largest) == (
        "focal_normalised",
        "metres",
        "m",
        20.0,
    )
    assert (manifest.format, sky.kind, manifest.runs) == (2, "sky", ("fused",))
    assert manifest.steps[1] == Do(Normalise((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    assert manifest.gate.passed
    assert manifest.versions["torch"] == "2.8.0"
    assert manifest.programs[1].measured is not None
    assert manifest.programs[1].measured["depth"]["rank_correlation"] is None
    (found,) = manifest.stages(ProgramKey(518, 518, 4))
    assert found.files[0].path == "programs/518x518-b4.xml"
    assert found.outputs[1].shape(found.shape) == (4, 518, 518)
    assert manifest.stages(ProgramKey(518, 518, 1)) == ()
    assert manifest.keys == (ProgramKey(518, 686, 1), ProgramKey(518, 518, 4))
    with pytest.raises(FrozenInstanceError):
        manifest.model = "other"  # type: ignore[misc]


def test_an_artifact_is_read_and_its_files_are_handed_out(tmp_path: Path) -> None:
    artifact = read_artifact(written(tmp_path / "a"))
    assert artifact.manifest_sha256 == hashlib.sha256(GOLDEN).hexdigest()
    assert artifact.identity != artifact.manifest_sha256
    files = [file for program in artifact.manifest.programs for file in program.files]
    assert list(map(bytes, artifact.open_files(files))) == list(FILES.values())
    view = artifact.open_files(files)[0]
    assert view.readonly


@pytest.mark.parametrize("number", [0, 1, 99, -1, "1", None, True, 1.5])
def test_another_format_is_refused(number: Any) -> None:
    assert "format" in refusal(changed(lambda m: m.update(format=number)))


def test_another_format_says_how_to_build_it_again() -> None:
    text = refusal(changed(lambda m: m.update(format=1, novelty="?")))
    assert "format 1, this version reads 2" in text
    command = "python -m compile build --model golden --target openvino --precision fp32"
    assert text.endswith(command)
    assert "format None, this version reads 2" in refusal(changed(lambda m: m.pop("format")))
    hostile = refusal(changed(lambda m: m.update(format=1, model="a; rm -r /", target=7)))
    assert hostile.endswith("python -m compile build --precision fp32")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda m: m.update(extra=1), "unknown field extra"),
        (lambda m: m["size"].update(gamma=2), "unknown field size.gamma"),
        (lambda m: m["steps"][1].update(gamma=2), "unknown field steps[1].gamma"),
        (lambda m: m["steps"][1].pop("std"), "missing field steps[1].std"),
        (lambda m: m["steps"][2].update(seed=0), "expected `run` and `per` alone"),
        (lambda m: m.pop("target"), "missing field target"),
        (lambda m: m["checkpoint"].pop("licence"), "missing field checkpoint.licence"),
        (lambda m: m["programs"][0].pop("stage"), "missing field programs[0].stage"),
        (lambda m: m["programs"][0]["files"][1].pop("sha256"), "programs[0].files[1].sha256"),
    ],
)
def test_unknown_and_missing_fields_are_refused(change: Change, text: str) -> None:
    assert text in refusal(changed(change))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda m: m.update(model=7), "field model is 7, expected str"),
        (lambda m: m["outputs"][0].update(largest=True), "outputs[0].largest is True"),
        (lambda m: m["steps"][1].update(mean=[0.1, 0.2, "x"]), "steps[1].mean[2] is 'x'"),
        (lambda m: m["gate"].update(passed=1), "gate.passed is 1, expected bool"),
        (lambda m: m["programs"][0]["shape"].update(B=1.0), "shape.B is 1.0, expected int"),
    ],
)
def test_other_types_are_refused(change: Change, text: str) -> None:
    """Some at each depth; test_strict_json.py has every kind of field."""
    assert text in refusal(changed(change))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (GOLDEN[:-10], "Expecting ':' delimiter"),
        (GOLDEN.replace(b"20.0", b"NaN"), "NaN is not JSON"),
        (GOLDEN.replace(b'"B": 4', b'"B": 4, "B": 8'), "a key is repeated"),
    ],
    ids=["cut short", "NaN", "repeated"],
)
def test_other_bytes_are_refused(data: bytes, text: str) -> None:
    """Some; test_strict_json.py has every kind."""
    assert text in refusal(data)


def test_a_folder_without_a_manifest_says_how_to_make_one(tmp_path: Path) -> None:
    (tmp_path / "with-folder" / "manifest.json").mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "nothing", tmp_path / "with-folder"):
        with pytest.raises(ArtifactError, match="no readable manifest.json; make an artifact with"):
            read_artifact(folder)


def test_an_address_in_s3_is_to_be_pulled_first() -> None:
    with pytest.raises(ArtifactError, match="^s3://bucket/models/a: .*; pull it first: python -m"):
        read_artifact(Path("s3://bucket/models/a"))


def test_an_enormous_manifest_is_not_read(tmp_path: Path) -> None:
    folder = written(tmp_path / "a")
    os.truncate(folder / "manifest.json", 5 << 20)
    with pytest.raises(ArtifactError, match="expected at most 4194304 bytes"):
        read_artifact(folder)


def test_a_changed_manifest_has_another_identity(tmp_path: Path) -> None:
    other = written(tmp_path / "b", GOLDEN.replace(b"Apache-2.0", b"Apache-2.1"))
    assert read_artifact(written(tmp_path / "a")).identity != read_artifact(other).identity


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda m: m["steps"][0].update(do="sharpen"), "steps[0].do is 'sharpen'; this version"),
        (lambda m: m["steps"][0].update(per="day"), "steps[0].per is 'day'"),
        (lambda m: m["steps"].__setitem__(0, 7), "steps[0] is 7"),
        (lambda m: m.update(steps=m["steps"][:2]), "steps runs no stage"),
        (lambda m: m["programs"][1].update(name="518x686-b1"), "two programs have one name"),
        (lambda m: m["programs"][0]["shape"].pop("S"), "shape has no S"),
        (lambda m: m["programs"][0]["outputs"][0].update(axes="BHX"), "axes 'BHX' of depth"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(change: Change, text: str) -> None:
    assert text in refusal(changed(change))


def test_programs_that_join_nothing_are_refused() -> None:
    """Programs of other stages count if their tensors lead from the images to the outputs."""

    def cut(manifest: Any) -> None:
        for program in manifest["programs"]:
            program["stage"], program["inputs"][0]["name"] = "other", "features"

    assert "no programs that can be run" in refusal(changed(cut))


def test_measured_figures_do_not_change_the_identity(tmp_path: Path) -> None:
    first = read_artifact(written(tmp_path / "a"))
    other = read_artifact(written(tmp_path / "b", GOLDEN.replace(b"3.1e-05", b"3.2e-05")))
    assert other.identity == first.identity
    assert other.manifest_sha256 != first.manifest_sha256
    for part in (b'"passed": true', b'"licence": "Apache', b'"kind": "focal', b"0.0005"):
        assert part in GOLDEN
    failed = changed(lambda m: m["gate"].update(passed=False))
    looser = changed(lambda m: m["gate"]["limits"]["depth"].update(max_rel=1.0))
    for data in (failed, looser):
        assert parse_manifest(data, "x").identity() != first.identity


def test_stages_are_joined_by_the_names_of_their_tensors() -> None:
    key = ProgramKey(28, 42, 1)
    encoder, decoder = made_split(key)
    manifest = made_manifest([], programs=(decoder, encoder))
    assert manifest.stages(key) == (encoder, decoder)
    assert made_manifest([], programs=(decoder,)).stages(key) == ()


def test_a_manifest_with_nan_cannot_be_written() -> None:
    manifest = parse_manifest(GOLDEN, "golden")
    object.__setattr__(manifest.outputs[0], "largest", float("nan"))
    with pytest.raises(ValueError, match="not JSON compliant"):
        dump_manifest(manifest)


@pytest.mark.parametrize("kind", ["pipe", "/dev/zero"])
def test_a_manifest_that_is_no_file_is_refused_without_waiting(tmp_path: Path, kind: str) -> None:
    folder = written(tmp_path / "a")
    path = folder / "manifest.json"
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(kind)
    with pytest.raises(ArtifactError, match="no readable manifest.json; .*not a regular file"):
        read_artifact(folder)


def test_passed_is_refused_if_the_figures_beside_it_say_otherwise() -> None:
    def figure(value: Any) -> Change:
        return lambda m: m["programs"][0]["measured"]["depth"].update(max_rel=value)

    for change, text in (
        (figure(1.0), "depth max_rel is 1.0 .limit 0.0005"),
        (figure(None), "depth max_rel is None"),
        (lambda m: m["programs"][1].update(measured=None), "518x518-b4: depth max_rel is None"),
        (lambda m: m["gate"]["limits"].pop("sky"), "sky has no limit"),
        (lambda m: m["gate"]["limits"]["depth"].update(max_rel=1e-9), "max_rel is 3.1e-05 .limit"),
    ):
        with pytest.raises(ArtifactError, match=f"gate.passed is true, though .*{text}"):
            parse_manifest(changed(change), "here")
    failed = changed(lambda m: (figure(1.0)(m), m["gate"].update(passed=False)))
    assert parse_manifest(failed, "here").gate.passed is False
