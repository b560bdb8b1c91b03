"""A user's file of ONNX becomes an artifact, or is refused: by Python and by the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compile.cli import main
from compile.errors import ParityError
from compile.imported.build import Import, import_masks
from compile.targets import onnx as onnx_target
from compile.targets import openvino as openvino_target
from depth.artifact.manifest import read_artifact
from depth.artifact.steps import DecodeYolov8Seg, Do
from depth.errors import InputError
from depth.files import sha256_file
from tests.support.commands import Ended, ended
from tests.support.fresh_python import run_python
from tests.support.mask_artifacts import mask_artifact
from tests.support.mask_networks import METADATA, NAMES, write_network

TARGETS = ("onnx", "openvino")
OUTPUTS = {"output0": ["box_px", "coefficient", "score"], "output1": ["max_rel", "mean_rel"]}


def compile_(*arguments: object) -> Ended:
    return ended(main, "python -m compile", *arguments)


@pytest.mark.parametrize("target", TARGETS)
def test_a_file_becomes_a_proven_artifact(target: str, tmp_path: Path) -> None:
    file = write_network(tmp_path / "My Seg (2).onnx")
    folder = import_masks(Import(file, target, wanted=("red",)), tmp_path / "artifacts")
    m = read_artifact(folder).manifest
    assert folder.name.startswith(f"my-seg-2-{target}-fp32-")
    assert (m.family, m.model, m.target, m.precision) == ("imported", "my-seg-2", target, "fp32")
    assert m.checkpoint.file == "My Seg (2).onnx"
    assert m.checkpoint.sha256 == sha256_file(file)
    assert m.checkpoint.licence == "our own"
    assert [(o.name, o.kind, o.axes) for o in m.outputs] == [
        ("output0", "instance_masks", "BKN"),
        ("output1", "instance_masks", "BPhw"),
    ]
    (program,) = m.programs
    assert program.shapes(program.inputs) == {"images": (1, 3, 64, 96)}
    assert program.shapes(program.outputs) == {"output0": (1, 39, 126), "output1": (1, 32, 16, 24)}
    step = m.steps[-1]
    assert isinstance(step, Do)
    assert step.step == DecodeYolov8Seg(NAMES, ("red",), "output0", "output1", 0.25, 0.7, 300, 0.0)
    assert [s.as_json().get("do", "run") for s in m.steps[:3]] == ["letterbox", "normalise", "run"]
    assert m.gate.passed is True
    assert {name: sorted(row) for name, row in m.gate.limits.items()} == OUTPUTS
    measured = program.measured
    assert measured is not None
    assert {name: sorted(row) for name, row in measured.items()} == OUTPUTS
    for name, row in measured.items():
        for figure, value in row.items():
            assert 0 <= float(value or 0) <= m.gate.limits[name][figure]
    assert "torch" not in m.versions
    assert "the given file in ONNX Runtime: passed" in (folder / "report.md").read_text("utf-8")
    assert len(json.loads((folder / "report.json").read_text("utf-8"))["images"]) == 5


def test_the_file_is_packed_as_it_is_for_onnx(tmp_path: Path) -> None:
    file = write_network(tmp_path / "seg.onnx")
    artifact = read_artifact(import_masks(Import(file, "onnx"), tmp_path / "out"))
    (packed,) = artifact.manifest.programs[0].files
    assert (artifact.folder / packed.path).read_bytes() == file.read_bytes()
    for row in (artifact.manifest.programs[0].measured or {}).values():
        assert set(row.values()) == {0.0}


@pytest.mark.parametrize("target", TARGETS)
def test_the_identity_is_that_of_the_inputs(target: str, tmp_path: Path) -> None:
    file = write_network(tmp_path / "seg.onnx")
    first, again = (import_masks(Import(file, target), tmp_path / name) for name in "ab")
    assert first.name == again.name
    other = import_masks(Import(file, target, wanted=("blue",)), tmp_path / "a")
    write_network(file, {**METADATA, "names": "['red', 'green', 'sea']"})
    renamed = import_masks(Import(file, target), tmp_path / "a")
    assert len({first.name, other.name, renamed.name}) == 3
    assert import_masks(Import(file, target), tmp_path / "a") == renamed  # it is there already


def spoiled(path: Path, by: float) -> None:
    """Change one weight of the scores in the saved program."""
    data = bytearray(path.read_bytes())
    place = data.find(np.array([30, -15, -15], np.float32).tobytes())
    assert place >= 0
    data[place : place + 4] = np.array([30 + by], np.float32).tobytes()
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("target", "module"), [("onnx", onnx_target), ("openvino", openvino_target)]
)
def test_a_program_with_other_numbers_is_not_written(
    target: str, module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = module.import_file

    def wrong(given: Path, stem: Path) -> list[Path]:
        files: list[Path] = right(given, stem)
        spoiled(files[-1], 1.0)
        return files

    monkeypatch.setattr(module, "import_file", wrong)
    file, out = write_network(tmp_path / "seg.onnx"), tmp_path / "out"
    with pytest.raises(ParityError, match=r"too far from the given file: output0 .*score 0\.\d+"):
        import_masks(Import(file, target), out)
    assert list(out.iterdir()) == []
    forced = read_artifact(import_masks(Import(file, target, force=True), out))
    assert forced.manifest.gate.passed is False


def test_a_file_that_answers_every_image_alike_proves_nothing(tmp_path: Path) -> None:
    def blind(model: Any) -> None:
        for weight in model.graph.initializer:
            if list(weight.dims)[-2:] == [1, 1]:
                weight.raw_data = bytes(len(weight.raw_data))

    file = write_network(tmp_path / "seg.onnx", tamper=blind)
    with pytest.raises(ParityError, match="answers every test image alike"):
        import_masks(Import(file, "onnx"), tmp_path / "out")


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    def overflowing(model: Any) -> None:
        for weight in model.graph.initializer:
            if list(weight.dims) == [32, 3, 1, 1]:
                weight.raw_data = np.full(96, 3e38, np.float32).tobytes()

    file = write_network(tmp_path / "seg.onnx", tamper=overflowing)
    with pytest.raises(ParityError, match="the given file gives output. that is not finite on"):
        import_masks(Import(file, "onnx"), tmp_path / "out")


def test_the_command_prints_the_folder_and_inspect_and_verify_know_it(tmp_path: Path) -> None:
    file = write_network(tmp_path / "seg.onnx")
    arguments = ("--as", "instance-masks", "--target", "onnx", "-o", tmp_path / "out")
    images = ("--images", tmp_path / "none")
    made = compile_("import", file, *arguments, "--classes", "green", *images)
    assert made.code == 0, made.err
    folder = Path(made.out.strip())
    assert folder.parent == tmp_path / "out"
    assert "seg.onnx: licence our own; its terms are yours to keep\n" in made.err
    shown = compile_("inspect", folder).out
    assert "seg (imported)" in shown
    assert "output0 (instance_masks), output1 (instance_masks)" in shown
    assert "letterbox, normalise, run fused, decode_yolov8_seg" in shown
    assert "classes      red, green, blue; by default green" in shown
    assert "the program's own, 64x96 px" in shown
    assert "every hash is right" in compile_("verify", folder).out
    unknown = compile_("import", file, *arguments, "--classes", "person", *images)
    assert (unknown.code, unknown.line()) == (
        2,
        "no class 'person'; there are red, green, blue\n",
    )


def test_names_come_from_a_file_where_the_metadata_has_none(tmp_path: Path) -> None:
    bare = {"task": "segment"}
    file = write_network(tmp_path / "seg.onnx", bare)
    arguments = ("import", file, "--as", "instance-masks", "--target", "onnx")
    where = ("-o", tmp_path / "out", "--images", tmp_path / "none")
    refused = compile_(*arguments, *where)
    assert refused.code == 2
    assert "has no names of classes: give them with --names FILE" in refused.error()
    names = tmp_path / "names.txt"
    names.write_text("person\n\ntraffic light\n bag \n", "utf-8")
    made = compile_(*arguments, *where, "--names", names)
    assert made.code == 0, made.err
    step = read_artifact(Path(made.out.strip())).manifest.steps[-1]
    assert isinstance(step, Do)
    assert isinstance(step.step, DecodeYolov8Seg)
    assert step.step.classes == ("person", "traffic light", "bag")
    names.write_text("person\ncar\n", "utf-8")
    short = compile_(*arguments, *where, "--names", names)
    assert "scores of 3 classes, and 2 names are given" in short.error()


@pytest.mark.parametrize("name", ["../up", "", "Upper", "a" * 65])
def test_a_model_has_a_plain_name(name: str, tmp_path: Path) -> None:
    file = write_network(tmp_path / "seg.onnx")
    with pytest.raises(InputError, match="--name"):
        import_masks(Import(file, "onnx", name), tmp_path / "out")


@pytest.mark.parametrize("target", TARGETS)
def test_parity_is_measured_again_with_the_file(target: str, tmp_path: Path) -> None:
    artifact = mask_artifact(tmp_path, target)
    file = write_network(tmp_path / "seg.onnx")
    images = ("--images", tmp_path / "none")
    again = compile_("parity", artifact.folder, "--checkpoint", file, *images)
    assert again.code == 0, again.err
    assert "passed: every program is within the limit (output0 box_px 0.25" in again.out
    assert again.out.count("64x96-b1") == 10
    bare = compile_("parity", artifact.folder, *images)
    assert bare.code == 2
    assert "name that file with --checkpoint FILE" in bare.line()
    write_network(file, {**METADATA, "license": "another"})
    other = compile_("parity", artifact.folder, "--checkpoint", file, *images)
    assert other.code == 2
    assert "is not the file that" in other.line()


def test_a_damaged_program_fails_parity_again(tmp_path: Path) -> None:
    artifact = mask_artifact(tmp_path, "onnx")
    file = write_network(tmp_path / "seg.onnx")
    spoiled(artifact.folder / artifact.manifest.programs[0].files[0].path, 1.0)
    again = compile_("parity", artifact.folder, "--checkpoint", file, "--images", tmp_path / "none")
    assert again.code == 1
    assert "the file is damaged or altered" in again.line()


@pytest.mark.parametrize("target", TARGETS)
def test_torch_is_never_imported(target: str, tmp_path: Path) -> None:
    file = write_network(tmp_path / "seg.onnx")
    done = run_python(
        "-c",
        "import sys\n"
        "from compile.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules",
        *("import", str(file), "--as", "instance-masks", "--target", target),
        *("-o", str(tmp_path / "out"), "--images", str(tmp_path / "none")),
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_dir()
