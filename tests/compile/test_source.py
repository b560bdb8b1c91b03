"""source_sha256: every change of the code that decides numbers, and no other."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path

import pytest

from compile import source
from compile.errors import TargetError
from compile.source import LEFT_OUT, ROOT, codes, imported_sha256, source_sha256
from compile.targets.table import TARGETS
from depth.family import FAMILIES

PACKAGES = ("compile", "depth", *FAMILIES)
V2 = FAMILIES[0]
INF1 = ("inf1", "matmult-fp16", V2)
FP32 = ("openvino", "fp32", V2)
INT8 = ("openvino", "int8", V2)
# Where a module is told if `source_sha256` reads it for nothing and nobody has said why.
TOLD = ("compile/int8", "compile/lowering", "compile/neuron", "compile/targets", "depth/network")
TOLD = (*TOLD, "depth/steps", *FAMILIES)
# What is there for others than a build: drop-in classes, published files, the network to compare
# with.
FOR_OTHERS = ("dpt.py", "api.py", "hub.py", "inputs.py", "specs.py", "published.py")
# No program is made of these: they compute and write scenes eagerly, or are for others.
NOT_COMPILED = (
    "depth_anything_3/anyview/folder.py",
    "depth_anything_3/anyview/stages.py",
    *(f"depth_anything_3/{name}.py" for name in ("export", "features", "one_view", "scenes")),
    *(f"depth_anything_v2/{name}" for name in ("dinov2.py", "head.py", "names.py", "util/")),
    "depth/network/scenes.py",
    "depth/network/drop_in.py",  # upstream's classes, as `FOR_OTHERS`
    *(f"midas/{name}.py" for name in ("base_model", "dpt_depth", "midas_net_custom")),
)

DECIDING = (
    "compile/lowering/resize.py",
    "compile/neuron/inf1.py",
    "compile/neuron/builder.py",
    "compile/specialise.py",
    "compile/targets/modes.py",
    "compile/trace.py",
    "depth/network/vit.py",
    "depth/network/dpt.py",
    "depth/preprocess.py",
    "depth/sizes.py",
    f"{V2}/config.py",
    f"{V2}/layouts.py",
    f"{V2}/network.py",
)
OTHERS = (
    "compile/build/cli.py",
    "compile/build/report.py",
    "compile/cli.py",
    "compile/errors.py",
    "compile/neuron/watchdog.py",
    "compile/parity/measure.py",
    "compile/plan/roofline.py",
    "compile/targets/onnx.py",
    "compile/neuron/inf2.py",
    "depth/console.py",
    "depth/files.py",
    "depth/images/read.py",
    "depth/weights/download.py",
)


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A copy of the code to change."""
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "*.md", "*.json")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    return tmp_path


def source_files(target: str, precision: str, family: str, root: Path = ROOT) -> set[str]:
    return {path for path, _ in codes(target, precision, family, root)}


def append(file: Path, text: str) -> None:
    with file.open("a", encoding="utf-8") as opened:
        opened.write(text)


def hash_after_edit(code: Path, file: str) -> str:
    before = (code / file).read_bytes()
    append(code / file, "\n_ANOTHER = 1\n")
    try:
        return source_sha256(*INF1, root=code)
    finally:
        (code / file).write_bytes(before)


@functools.cache
def files_of_everything() -> set[str]:
    return {
        file
        for family in FAMILIES
        for target in TARGETS.values()
        for precision in target.limits
        for file in source_files(target.name, precision, family)
    }


def test_a_copy_has_the_same_hash(code: Path) -> None:
    assert source_sha256(*INF1, root=code) == source_sha256(*INF1)
    assert source_files(*INF1, root=code) == source_files(*INF1)


def test_comments_docstrings_and_layout_change_nothing(code: Path) -> None:
    before = source_sha256(*INF1, root=code)
    for file in source_files(*INF1, root=code):
        path = code / file
        text = path.read_text(encoding="utf-8")
        text = text.replace('"""', '"""Another word. ', 1) if text.startswith('"""') else text
        text = text.replace("\n    return ", "\n\n    # a remark\n    return ")
        path.write_text(f"# a remark\n{text}\n\n# another one\n", encoding="utf-8")
    assert source_sha256(*INF1, root=code) == before


def test_a_constant_in_what_decides_numbers_changes_it(code: Path) -> None:
    before = source_sha256(*INF1, root=code)
    assert [file for file in DECIDING if hash_after_edit(code, file) == before] == []


def test_an_edit_of_what_decides_no_number_changes_nothing(code: Path) -> None:
    before = source_sha256(*INF1, root=code)
    assert [file for file in OTHERS if hash_after_edit(code, file) != before] == []


def test_targets_and_precisions_count_apart(code: Path) -> None:
    before = [source_sha256(*key, root=code) for key in (INF1, FP32, INT8)]
    assert len(set(before)) == 3
    append(code / "compile/int8/layers.py", "\n_ANOTHER = 1\n")
    after = [source_sha256(*key, root=code) for key in (INF1, FP32, INT8)]
    assert [a == b for a, b in zip(before, after)] == [True, True, False]


def test_a_module_in_a_new_subfolder_counts_once_it_is_imported(code: Path) -> None:
    new = code / "compile/lowering/fusing"
    new.mkdir()
    (new / "__init__.py").write_text('"""New."""\n')
    (new / "gains.py").write_text("GAIN = 1.0\n")
    append(
        code / "compile/lowering/rewrites.py",
        "\n\ndef _lazily():\n    from compile.lowering.fusing import gains\n\n    return gains\n",
    )
    before = source_sha256(*FP32, root=code)
    assert "compile/lowering/fusing/gains.py" in source_files(*FP32, root=code)
    (new / "gains.py").write_text("GAIN = 2.0\n")
    assert source_sha256(*FP32, root=code) != before


def test_one_family_does_not_make_the_programs_of_another_stale() -> None:
    for family in FAMILIES:
        others = tuple(f"{other}/" for other in FAMILIES if other != family)
        for target in TARGETS.values():
            files = source_files(target.name, next(iter(target.limits)), family)
            assert not [file for file in files if file.startswith(others)]


def test_every_module_that_could_decide_numbers_is_read_or_left_out_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(source, "_compiled", functools.cache(source._compiled))
    modules = {
        path.relative_to(ROOT).as_posix()
        for place in TOLD
        for path in (ROOT / place).rglob("*.py")
        if path.name not in ("__init__.py", "__main__.py", "cli.py")
    }
    forgotten = sorted(
        file
        for file in modules - files_of_everything()
        if not file.startswith((*LEFT_OUT, *NOT_COMPILED)) and not file.endswith(FOR_OTHERS)
    )
    assert forgotten == []
    assert [file for file in files_of_everything() if file.startswith(NOT_COMPILED)] == []


def test_what_is_left_out_exists() -> None:
    """A module that moved would count again, or no longer, and nobody would see it."""
    assert [place for place in LEFT_OUT if not (ROOT / place).exists()] == []


def test_an_unknown_target_is_refused() -> None:
    with pytest.raises(TargetError, match="no target 'gpu'"):
        source_sha256("gpu", "fp32", V2)


def test_an_imported_file_goes_by_its_own_code(code: Path) -> None:
    before = {target: imported_sha256(target, code) for target in ("openvino", "onnx")}
    assert before["openvino"] != before["onnx"]
    assert before["openvino"] == imported_sha256("openvino")
    for other in ("compile/trace.py", f"{V2}/network.py", "compile/imported/cli.py"):
        append(code / other, "\n_ANOTHER = 1\n")
        assert imported_sha256("openvino", code) == before["openvino"], other
    found = {before["openvino"]}
    for own in ("compile/imported/contract.py", "depth/steps/instances.py"):
        append(code / own, "\n_ANOTHER = 1\n")
        found.add(imported_sha256("openvino", code))
    append(code / "compile/targets/openvino.py", "\n_ANOTHER = 1\n")
    assert len({*found, imported_sha256("openvino", code)}) == 4
