"""Artifacts for every target: what is in them, that they repeat, and what is refused."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from compile.build.build import build
from compile.errors import BuildError, ParityError, TargetError
from compile.parity.inputs import photographs
from compile.parity.measure import Measured, failure
from compile.source import source_sha256
from compile.specialise import specialise
from compile.targets.protocols import Limit, Ports
from compile.targets.table import TARGETS, Target, builder, target_named
from compile.untrained import untrained_checkpoint
from depth.artifact.manifest import MANIFEST, Artifact, read_artifact
from depth.artifact.program import Program, ProgramKey
from depth.artifact.steps import Do, RunStage
from depth.artifact.verification import VERIFIED_FILE
from depth.errors import CheckpointError, InputError
from tests.support.compile_command import in_two_processes
from tests.support.networks import DEMO, SIZE, TINY_MODEL, build_demo, request
from tests.support.places import ROOT
from tests.support.programs import needs_arithmetic

ON_CPU = [name for name, target in TARGETS.items() if not target.device]
PORTS = Ports(("images",), ("depth",), ("float32",))
KINDS = [  # int8 has tests of its own
    (name, precision)
    for name in ON_CPU
    for precision in TARGETS[name].limits
    if precision not in TARGETS[name].calibrated
]


@pytest.mark.parametrize(("target", "precision"), KINDS)
def test_an_artifact_of_every_target(tmp_path: Path, target: str, precision: str) -> None:
    needs_arithmetic(precision)
    # Forced for bf16: rounding errors of weights that were never trained say nothing about it.
    artifact = build_demo(tmp_path, target, precision=precision, force=precision == "bf16")
    m = artifact.manifest
    assert artifact.folder.name == f"demo-{target}-{precision}-{artifact.identity[:12]}"
    (output,) = m.outputs
    assert (m.model, output.kind, output.largest) == ("demo", "relative_inverse", None)
    assert (m.checkpoint.file, m.checkpoint.licence) == ("untrained", "none")
    assert (m.target, m.precision) == (target, precision)
    assert m.size == DEMO.size
    assert m.steps == (*map(Do, DEMO.before), RunStage("fused"), *map(Do, DEMO.after))
    assert {"source_sha256", "python", "numpy", "torch", "machine"} <= set(m.versions)
    assert m.versions["source_sha256"] == source_sha256(m.target, m.precision, m.family)
    (program,) = m.programs
    assert (program.stage, program.size, program.batch) == ("fused", SIZE, 1)
    data = artifact.open_files(program.files)
    assert [each.nbytes for each in data] == [file.size_bytes for file in program.files]
    limit = TARGETS[target].limits[precision]
    assert m.gate.limits == {"depth": {"max_rel": limit.max_rel, "mean_rel": limit.mean_rel}}
    assert m.gate.passed == (failure(measured(program), m.gate.limits) is None)
    check_the_program(artifact)
    check_the_folder(artifact)


def measured(program: Program) -> Measured:
    assert program.measured is not None
    return program.measured


def check_the_program(artifact: Artifact) -> None:
    """Loaded as the builder loads it, on an image of our own."""
    m = artifact.manifest
    maker = builder(target_named(m.target, m.precision))
    (program,) = m.programs
    files = [artifact.folder / f.path for f in program.files]
    run = maker.load(files, Ports.of(program), m.precision)
    image = np.random.default_rng(5).standard_normal((1, 3, *SIZE), dtype=np.float32)
    expected = specialise(DEMO, untrained_checkpoint(DEMO), SIZE)(torch.from_numpy(image)).numpy()
    error = np.abs(run({"images": image})["depth"] - expected).max() / expected.max()
    assert error < (1e-4 if m.precision == "fp32" else 0.5)
    if m.precision == "fp32":
        assert m.gate.passed


def check_the_folder(artifact: Artifact) -> None:
    """Nothing but what the manifest names and the reports, and no path of this machine in it."""
    folder = artifact.folder
    named = {file.path for program in artifact.manifest.programs for file in program.files}
    found = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert found == {*named, MANIFEST, "report.json", "report.md"}
    assert not list(folder.parent.glob(".*"))
    for path in map(folder.joinpath, found):
        data = path.read_bytes()
        assert str(ROOT).encode() not in data, path
        assert str(folder.parent).encode() not in data, path
    report = json.loads((folder / "report.json").read_text())
    assert report["manifest"]["target"] == artifact.manifest.target
    images = [probe["probe"] for probe in report["programs"][0]["probes"]]
    assert images == ["constant", "noise", "thin lines", "scene"]
    assert report["programs"][0]["build_s"] > 0
    text = (folder / "report.md").read_text()
    assert text.startswith(f"# demo for {artifact.manifest.target}, ")
    assert f"| {SIZE[0]}x{SIZE[1]}-b1 |" in text
    assert "thin lines" in text


EACH_TARGET = """
import sys
from compile.cli import main
program, *words = sys.argv
for target in {targets}:
    sys.argv = [program, *words, "--target", target]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, ended.code
"""


@pytest.mark.long
def test_the_same_command_gives_the_same_identity(tmp_path: Path) -> None:
    words = ["-c", EACH_TARGET.format(targets=ON_CPU), "build", "--model", "demo"]
    words += ["--size", "56x70", "--checkpoint", "untrained", "--images", str(tmp_path / "none")]
    (here, err), (there, _) = in_two_processes(
        words, [tmp_path / "here", tmp_path / "there/deeper"]
    )
    assert [artifact.manifest.target for artifact in here] == ON_CPU
    for first, second in zip(here, there):
        assert first.folder.parent != second.folder.parent
        assert (first.folder / MANIFEST).read_text() == (second.folder / MANIFEST).read_text()
        assert first.identity == second.identity
    assert "checking it against the original" in err


@pytest.mark.long
def test_several_sizes_and_batches_in_one_artifact(tmp_path: Path) -> None:
    steps: list[str] = []
    made = request(sizes=[(28, 42), (42, 28), (28, 42)], batches=[1, 3])
    artifact = read_artifact(build(made, tmp_path, steps.append))
    m = artifact.manifest
    assert [(p.size, p.batch) for p in m.programs] == [
        ((28, 42), 1),
        ((28, 42), 3),
        ((42, 28), 1),
        ((42, 28), 3),
    ]
    assert (m.outputs[0].kind, m.outputs[0].unit, m.outputs[0].largest) == ("metres", "m", 20.0)
    assert len(steps) == 12
    assert steps[3] == "preparing the network for images of 3:2, 3 at a time, 28x42 px"
    (program,) = m.stages(ProgramKey(42, 28, 3))
    run = builder(TARGETS["torchscript"]).load(
        [artifact.folder / f.path for f in program.files], Ports.of(program), "fp32"
    )
    found = run({"images": np.zeros((3, 3, 42, 28), np.float32)})
    assert {name: array.shape for name, array in found.items()} == {"depth": (3, 42, 28)}


@pytest.mark.parametrize("target", ["openvino", "onnx"])
def test_batch_2(tmp_path: Path, target: str) -> None:
    request_ = request(target=target, sizes=[(28, 42)], batches=[2])
    artifact = read_artifact(build(request_, tmp_path))
    files = [artifact.folder / f.path for f in artifact.manifest.programs[0].files]
    run = builder(TARGETS[target]).load(files, Ports.of(artifact.manifest.programs[0]), "fp32")
    images = np.random.default_rng(0).standard_normal((2, 3, 28, 42), dtype=np.float32)
    network = specialise(TINY_MODEL, untrained_checkpoint(TINY_MODEL), (28, 42))
    expected = network(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(
        run({"images": images})["depth"], expected, atol=1e-4 * expected.max()
    )


@pytest.mark.long
def test_the_same_artifact_again_is_kept_and_a_damaged_one_replaced(tmp_path: Path) -> None:
    # torch numbers what it traces within a process, so a second torchscript build would differ.
    same = request(target="onnx")
    folder = build(same, tmp_path)
    (program,) = (folder / "programs").iterdir()
    good, inode = program.read_bytes(), program.stat().st_ino
    report = (folder / "report.json").read_bytes()
    assert build(same, tmp_path) == folder
    assert program.stat().st_ino == inode
    newer = (folder / "report.json").read_bytes()
    assert newer != report
    (folder / VERIFIED_FILE).write_text("what was measured on the device, and is in the reports")
    assert build(same, tmp_path) == folder
    assert (folder / "report.json").read_bytes() == newer
    for damage in (good[:-1], bytes([good[0] ^ 1]) + good[1:], None):
        program.unlink()
        if damage is not None:
            program.write_bytes(damage)
        assert build(same, tmp_path) == folder
        assert program.read_bytes() == good
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_any_name_of_a_photograph_is_one_cell_of_the_report(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9|\n.png")
    (tmp_path / "images").mkdir()
    image = np.random.default_rng(0).integers(0, 255, (28, 42, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / "images" / name)
    checkpoint = replace(untrained_checkpoint(TINY_MODEL), name=name)
    found = photographs(tmp_path / "images", 3)
    folder = build(request(photographs=found, checkpoint=checkpoint), tmp_path / "out")
    text = (folder / "report.md").read_text(encoding="utf-8")
    (row,) = (line for line in text.splitlines() if line.startswith("| caf"))
    assert row.startswith("| caf\\xe9\\|\\n.png | ")
    assert row.replace("\\|", "").count("|") == 4
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report["programs"][0]["probes"][-1]["probe"] == "caf\\xe9|\\n.png"


def test_a_network_with_flat_depth_proves_nothing(tmp_path: Path) -> None:
    checkpoint = untrained_checkpoint(TINY_MODEL)
    state = {name: torch.zeros_like(tensor) for name, tensor in checkpoint.state.items()}
    with pytest.raises(ParityError, match="flat depth on every test image.*check the weights"):
        build(request(checkpoint=replace(checkpoint, state=state)), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"target": "vax"}, TargetError, "no target 'vax'; choose from openvino, onnx, torchsc"),
        (
            {"precision": "bf16"},
            TargetError,
            "'torchscript' has no precision 'bf16'; choose .* fp32",
        ),
        ({"batches": [0]}, InputError, "batch 0: must be at least 1"),
        ({"sizes": []}, BuildError, "no size to build: give at least one --size"),
        ({"sizes": [(15, 28)]}, InputError, "height 15 px: must be a multiple of 14"),
        ({"model": DEMO}, CheckpointError, "untrained does not fit this network"),
    ],
)
def test_requests_that_cannot_be_met(
    tmp_path: Path, changes: dict[str, object], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        build(request(**changes), tmp_path / "out")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_a_target_whose_package_is_missing_says_how_to_get_it() -> None:
    absent = Target("absent", "compile.no_such_target", {"fp32": Limit(1, 1, 1, 1)}, "a test")
    with pytest.raises(
        BuildError, match="'absent' needs a package that is not installed .*make se"
    ):
        builder(absent)


@pytest.mark.parametrize("target", ON_CPU)
def test_a_program_that_is_no_program_is_refused(tmp_path: Path, target: str) -> None:
    for suffix in ("a", "b"):
        (tmp_path / suffix).write_bytes(b"not a program")
    with pytest.raises(BuildError, match="could not load"):
        builder(TARGETS[target]).load([tmp_path / "a", tmp_path / "b"], PORTS, "fp32")
