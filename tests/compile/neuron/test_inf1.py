"""Target `inf1`, driven through the stand-in for torch-neuron: what a good build gives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from compile.errors import BuildError
from compile.neuron import inf1
from compile.neuron.record import BuildRecord
from tests.support.neuron_standin import (
    Standin,
    build_one,
    build_programs,
    example,
    loaded,
    lowered,
    needs_torch_1_13,
    pictures,
    read_record,
    small,
    standin_fixture,
)

__all__ = ["standin_fixture"]
pytestmark = needs_torch_1_13
PRECISION = "matmult-fp16"


@pytest.fixture(name="record")
def record_fixture(standin: Standin, tmp_path: Path) -> BuildRecord:
    build_one(inf1.BUILDER, small(), example(), tmp_path / "28x42-b1", PRECISION, standin.settings)
    return read_record(tmp_path / "28x42-b1")


def test_a_lowered_network_becomes_one_file_with_all_of_it_on_the_chip(
    standin: Standin, tmp_path: Path
) -> None:
    stem = tmp_path / "28x42-b1"
    files = build_one(inf1.BUILDER, lowered(), example(), stem, PRECISION, standin.settings)
    assert [file.name for file in files] == ["28x42-b1.pt"]
    record = read_record(stem)
    assert record.log.percent_compiled == 100.0
    assert (record.log.subgraphs, record.log.compiled_subgraphs) == (1, 1)
    assert (record.log.fell_back, record.log.not_compiled) == ((), ())
    assert (record.fallback, record.attempts, record.from_cache) == ("as asked", (), False)
    assert record.warnings == ()
    standin.plug_in()
    images = pictures()
    assert (
        0 < error(loaded(inf1.BUILDER, files, PRECISION)(images.numpy()), lowered()(images)) < 0.01
    )


def error(found: object, expected: object) -> float:
    a, b = np.asarray(found), np.asarray(expected)
    return float(np.abs(a - b).max() / np.abs(b).max())


def test_the_record_holds_the_compilers_own_numbers(record: BuildRecord) -> None:
    (graph,) = record.subgraphs
    assert graph.name == "0"
    assert graph.compile_s == pytest.approx(6696.4, abs=0.1)
    assert graph.ddr_bytes == 619188008
    assert graph.matmul_ops == 4261799321600
    assert graph.pe_utilisation_percent == pytest.approx(77.06, abs=0.01)
    assert graph.spilled_bytes == 138240000


def test_the_compiler_gets_each_token_as_its_own_argument(
    standin: Standin, record: BuildRecord
) -> None:
    (call,) = standin.calls()
    assert call[-3:] == ["--fast-math", "fp32-cast-matmult-fp16", "no-fast-relayout"]
    assert record.compiler_arguments == tuple(call[-3:])


def test_the_work_folder_stays_with_logs_and_metrics(record: BuildRecord) -> None:
    work = Path(record.work_folder)
    assert (work / "0/all_metrics.csv").is_file()
    assert "percent compiled = 100.0%" in (work / "trace.log").read_text()


def test_what_the_compiler_prints_stays_off_our_stdout(
    record: BuildRecord, capfd: pytest.CaptureFixture[str]
) -> None:
    assert capfd.readouterr().out == ""
    assert "....." in (Path(record.work_folder) / "compiler.out").read_text()


@pytest.mark.parametrize(
    "precision", ["all-relayout", "matmult-bf16", "matmult-fp16", "matmult-fp16-io16"]
)
def test_on_the_device_a_mode_gives_nearly_the_networks_numbers_in_float32(
    standin: Standin, tmp_path: Path, precision: str
) -> None:
    files = build_one(inf1.BUILDER, small(), example(), tmp_path / "a", precision, standin.settings)
    standin.plug_in()
    images = pictures()
    found = loaded(inf1.BUILDER, files, precision)(images.numpy())
    assert found.dtype == np.float32
    assert 0 < error(found, small()(images)) < 0.02


def test_loading_off_the_device_is_refused(tmp_path: Path, record: BuildRecord) -> None:
    assert record.target == "inf1"
    with pytest.raises(BuildError, match="no Neuron device here.*wrong numbers.*Inf1 instance"):
        loaded(inf1.BUILDER, [tmp_path / "28x42-b1.pt"], PRECISION)


@pytest.mark.usefixtures("record")
def test_loading_takes_one_core_and_leaves_a_users_choice(
    standin: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    standin.plug_in()
    monkeypatch.setenv("NEURON_RT_VISIBLE_CORES", "2")
    loaded(inf1.BUILDER, [tmp_path / "28x42-b1.pt"], PRECISION)
    assert "NEURON_RT_NUM_CORES" not in os.environ
    monkeypatch.delenv("NEURON_RT_VISIBLE_CORES")
    loaded(inf1.BUILDER, [tmp_path / "28x42-b1.pt"], PRECISION)
    assert os.environ["NEURON_RT_NUM_CORES"] == "1"


def test_a_damaged_program_does_not_load(standin: Standin, tmp_path: Path) -> None:
    standin.plug_in()
    (tmp_path / "a.pt").write_bytes(b"no program")
    with pytest.raises(BuildError, match="could not load .*a.pt"):
        loaded(inf1.BUILDER, [tmp_path / "a.pt"], PRECISION)


@pytest.mark.usefixtures("record")
def test_a_saved_program_does_not_load_without_the_import(tmp_path: Path) -> None:
    code = f"import torch; torch.jit.load({str(tmp_path / '28x42-b1.pt')!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode
    assert "Unknown builtin op: neuron::forward" in done.stderr


def test_encoder_and_decoder_apart_give_the_same_depth(standin: Standin, tmp_path: Path) -> None:
    built = build_programs(
        inf1.BUILDER, lowered(), tmp_path, PRECISION, standin.settings, apart=True
    )
    assert [one.stage.name for one in built] == ["encoder", "decoder"]
    assert [one.files[0].name for one in built] == ["b1-encoder.pt", "b1-decoder.pt"]
    standin.plug_in()
    encoder, decoder = (loaded(inf1.BUILDER, one.files, PRECISION, one.ports) for one in built)
    images = pictures()
    assert error(decoder(encoder(images.numpy())), lowered()(images)) < 0.01


def test_flags_name_everything_the_numbers_depend_on() -> None:
    assert inf1.BUILDER.flags("matmult-fp16-io16") == (
        "--fast-math",
        "fp32-cast-matmult-fp16",
        "no-fast-relayout",
        "optimizations=FLOAT32_TO_FLOAT16",
        "single_fusion_ratio_threshold=1.0",
        "fallback=False",
    )


@pytest.mark.usefixtures("standin")
def test_versions_are_those_of_the_packages() -> None:
    assert inf1.BUILDER.versions() == {
        "torch": "1.13.1",
        "torch-neuron": "1.13.1.2.11.13.0",
        "neuron-cc": "1.24.0.0",
    }
