"""Target `inf2`, driven through the stand-in for torch-neuronx: what a good build gives."""

from __future__ import annotations

import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest

from compile.errors import BuildError
from compile.neuron import inf2
from compile.neuron.record import BuildRecord
from compile.targets.modes import modes_of
from tests.support.neuron_standin import (
    Standin,
    build_one,
    build_programs,
    example,
    loaded,
    lowered,
    pictures,
    pretend_installed,
    read_record,
    small,
)
from tests.support.neuronx_standin import GOOD_INF2, needs_torch_2, neuronx_fixture

__all__ = ["neuronx_fixture"]
pytestmark = needs_torch_2
PRECISION = "matmult-bf16"


@pytest.fixture(name="record")
def record_fixture(neuronx: Standin, tmp_path: Path) -> BuildRecord:
    build_one(inf2.BUILDER, small(), example(), tmp_path / "28x42-b1", PRECISION, neuronx.settings)
    return read_record(tmp_path / "28x42-b1")


def error(found: object, expected: object) -> float:
    a, b = np.asarray(found), np.asarray(expected)
    return float(np.abs(a - b).max() / np.abs(b).max())


def test_a_lowered_network_becomes_one_file_with_all_of_it_on_the_chip(
    neuronx: Standin, tmp_path: Path
) -> None:
    stem = tmp_path / "28x42-b1"
    files = build_one(inf2.BUILDER, lowered(), example(), stem, PRECISION, neuronx.settings)
    assert [file.name for file in files] == ["28x42-b1.pt"]
    record = read_record(stem)
    assert (record.target, record.precision) == ("inf2", PRECISION)
    assert (record.fallback, record.attempts, record.from_cache) == ("as asked", (), False)
    assert record.log.percent_compiled is None  # torch-neuronx logs nothing of the kind
    assert record.warnings == ()
    neuronx.plug_in()
    images = pictures()
    assert (
        0 < error(loaded(inf2.BUILDER, files, PRECISION)(images.numpy()), lowered()(images)) < 0.01
    )


def test_the_compiler_is_told_target_and_precision_and_where_to_log(
    neuronx: Standin, record: BuildRecord
) -> None:
    (call,) = neuronx.calls()
    told = ["--target", "inf2", "--auto-cast", "matmult", "--auto-cast-type", "bf16"]
    assert record.compiler_arguments == tuple(told)
    assert call[-8:] == [*told, "--logfile", f"{record.work_folder}/log-neuron-cc.txt"]


def test_the_work_folder_stays_and_nothing_lies_elsewhere(
    neuronx: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    build_one(inf2.BUILDER, small(), example(), tmp_path / "a", PRECISION, neuronx.settings)
    assert not list((tmp_path / "here").iterdir())
    work = Path(read_record(tmp_path / "a").work_folder)
    left = {path.name for path in work.iterdir()}
    assert left == {
        "command.txt",
        "compiler.out",
        "graph.neff",
        "log-neuron-cc.txt",
        "model",
        "trace.log",
    }


def test_what_the_compiler_prints_stays_off_our_stdout(
    record: BuildRecord, capfd: pytest.CaptureFixture[str]
) -> None:
    assert capfd.readouterr().out == ""
    assert "Compiler status PASS" in (Path(record.work_folder) / "compiler.out").read_text()


@pytest.mark.parametrize("precision", [mode.name for mode in modes_of("inf2")])
def test_on_the_device_a_mode_gives_nearly_the_networks_numbers_in_float32(
    neuronx: Standin, tmp_path: Path, precision: str
) -> None:
    files = build_one(inf2.BUILDER, small(), example(), tmp_path / "a", precision, neuronx.settings)
    neuronx.plug_in()
    images = pictures()
    found = loaded(inf2.BUILDER, files, precision)(images.numpy())
    assert found.dtype == np.float32
    difference = error(found, small()(images))
    assert difference < 0.02
    assert (difference > 0) == (precision != "none")


def test_without_a_chip_the_sdk_is_told_the_platform_and_with_one_it_finds_it(
    neuronx: Standin, tmp_path: Path
) -> None:
    neuronx.plug_in()
    build_one(inf2.BUILDER, small(), example(), tmp_path / "a", PRECISION, neuronx.settings)
    assert "NEURON_PLATFORM_TARGET_OVERRIDE" not in os.environ
    neuronx.unplug()
    build_one(inf2.BUILDER, small(), example(2), tmp_path / "b", PRECISION, neuronx.settings)
    assert os.environ["NEURON_PLATFORM_TARGET_OVERRIDE"] == "inf2"


@pytest.mark.usefixtures("record")
def test_loading_off_the_device_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        BuildError, match="no Neuron device here.*does not run; load it on an Inf2 or Trn1 inst"
    ):
        loaded(inf2.BUILDER, [tmp_path / "28x42-b1.pt"], PRECISION)


@pytest.mark.usefixtures("record")
def test_loading_takes_one_core_and_leaves_a_users_choice(
    neuronx: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    neuronx.plug_in()
    monkeypatch.setenv("NEURON_RT_VISIBLE_CORES", "1")
    loaded(inf2.BUILDER, [tmp_path / "28x42-b1.pt"], PRECISION)
    assert "NEURON_RT_NUM_CORES" not in os.environ
    monkeypatch.delenv("NEURON_RT_VISIBLE_CORES")
    loaded(inf2.BUILDER, [tmp_path / "28x42-b1.pt"], PRECISION)
    assert os.environ["NEURON_RT_NUM_CORES"] == "1"


def test_a_damaged_program_does_not_load(neuronx: Standin, tmp_path: Path) -> None:
    neuronx.plug_in()
    (tmp_path / "a.pt").write_bytes(b"no program")
    with pytest.raises(BuildError, match="could not load .*a.pt"):
        loaded(inf2.BUILDER, [tmp_path / "a.pt"], PRECISION)


@pytest.mark.usefixtures("record")
def test_a_saved_program_does_not_load_without_the_import(tmp_path: Path) -> None:
    code = f"import torch; torch.jit.load({str(tmp_path / '28x42-b1.pt')!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode
    assert "Unknown builtin op: neuron::" in done.stderr


def test_encoder_and_decoder_apart_give_the_same_depth(neuronx: Standin, tmp_path: Path) -> None:
    built = build_programs(
        inf2.BUILDER, lowered(), tmp_path, PRECISION, neuronx.settings, apart=True
    )
    assert [one.stage.name for one in built] == ["encoder", "decoder"]
    neuronx.plug_in()
    encoder, decoder = (loaded(inf2.BUILDER, one.files, PRECISION, one.ports) for one in built)
    images = pictures()
    assert error(decoder(encoder(images.numpy())), lowered()(images)) < 0.02


def test_a_second_build_takes_the_program_from_the_cache(neuronx: Standin, tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    build_one(inf2.BUILDER, lowered(), example(), first, PRECISION, neuronx.settings)
    again = deepcopy(lowered())
    build_one(inf2.BUILDER, again, example(), second, PRECISION, neuronx.settings)
    assert len(neuronx.calls()) == 1
    assert (tmp_path / "b.pt").read_bytes() == (tmp_path / "a.pt").read_bytes()
    assert read_record(second).from_cache


def test_another_precision_or_compiler_compiles_anew(
    neuronx: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_one(inf2.BUILDER, small(), example(), tmp_path / "a", PRECISION, neuronx.settings)
    build_one(inf2.BUILDER, small(), example(), tmp_path / "b", "matmult-fp16", neuronx.settings)
    assert len(neuronx.calls()) == 2
    pretend_installed(monkeypatch, tmp_path / "newer", {"neuronx-cc": "2.22.12471.0"})
    build_one(inf2.BUILDER, small(), example(), tmp_path / "c", PRECISION, neuronx.settings)
    assert len(neuronx.calls()) == 3


@pytest.mark.usefixtures("neuronx")
def test_flags_and_versions_are_what_the_numbers_depend_on() -> None:
    assert inf2.BUILDER.flags("none") == ("--target", "inf2", "--auto-cast", "none")
    assert inf2.BUILDER.versions() == {
        name: GOOD_INF2[name] for name in ("torch", "torch-neuronx", "neuronx-cc")
    }
