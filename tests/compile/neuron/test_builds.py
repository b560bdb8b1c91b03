"""Both device targets, driven through the stand-ins of their SDKs: what a good build gives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from compile.errors import BuildError
from compile.targets.modes import modes_of
from compile.targets.protocols import Compiled
from tests.support.neuron_standin import lowered, pictures, small
from tests.support.neuron_targets import PRECISION, Target, record_of, rows, target_fixture

__all__ = ["target_fixture"]
MODES = [
    *(("inf1", cast) for cast in ("all-relayout", "matmult-bf16", PRECISION, f"{PRECISION}-io16")),
    *(("inf2", mode.name) for mode in modes_of("inf2")),
]


@pytest.fixture(name="built")
def built_fixture(target: Target) -> Compiled:
    return target.build(small())


def error(found: object, expected: object) -> float:
    a, b = np.asarray(found), np.asarray(expected)
    return float(np.abs(a - b).max() / np.abs(b).max())


def test_a_lowered_network_becomes_one_file_with_all_of_it_on_the_chip(target: Target) -> None:
    built = target.build(lowered(), "28x42-b1")
    assert [file.name for file in built.files] == ["28x42-b1.pt"]
    record = record_of(built)
    log = record.log
    assert (record.target, record.precision) == (target.facts.builder.target, PRECISION)
    numbers = (log.percent_compiled, log.subgraphs, log.compiled_subgraphs)
    assert numbers == target.facts.log_numbers
    assert (log.fell_back, log.not_compiled) == ((), ())
    assert (record.fallback, record.attempts, record.from_cache) == ("as asked", (), False)
    assert record.warnings == ()
    target.plug_in()
    images = pictures()
    assert 0 < error(target.load(built)(images.numpy()), lowered()(images)) < 0.01


def test_the_compiler_gets_each_argument_and_where_to_log(target: Target, built: Compiled) -> None:
    (call,) = target.calls()
    record, facts = record_of(built), target.facts
    assert record.compiler_arguments == facts.arguments
    log = ("--logfile", f"{record.work_folder}/{facts.log}") if facts.log else ()
    expected = [*facts.arguments, *log]
    assert call[-len(expected) :] == expected


def test_the_work_folder_stays_and_nothing_lies_elsewhere(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    work = Path(record_of(target.build(small())).work_folder)
    assert not list((tmp_path / "here").iterdir())
    assert {path.name for path in work.iterdir()} == target.facts.left


def test_what_the_compiler_prints_stays_off_our_stdout(
    built: Compiled, capfd: pytest.CaptureFixture[str]
) -> None:
    assert capfd.readouterr().out == ""
    assert "....." in (Path(record_of(built).work_folder) / "compiler.out").read_text()


@rows("target, precision", MODES)
def test_on_the_device_a_mode_gives_nearly_the_networks_numbers_in_float32(
    target: Target, precision: str
) -> None:
    built = target.build(small(), precision=precision)
    target.plug_in()
    images = pictures()
    found = target.load(built, precision)(images.numpy())
    assert found.dtype == np.float32
    difference = error(found, small()(images))
    assert difference < 0.02
    assert (difference > 0) == (precision != "none")


def test_load_refuses_a_machine_without_the_device(target: Target, built: Compiled) -> None:
    with pytest.raises(BuildError, match=target.facts.no_device):
        target.load(built)


def test_loading_takes_one_core_and_leaves_a_users_choice(
    target: Target, built: Compiled, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.plug_in()
    monkeypatch.setenv("NEURON_RT_VISIBLE_CORES", "1")
    target.load(built)
    assert "NEURON_RT_NUM_CORES" not in os.environ
    monkeypatch.delenv("NEURON_RT_VISIBLE_CORES")
    target.load(built)
    assert os.environ["NEURON_RT_NUM_CORES"] == "1"


def test_a_damaged_program_does_not_load(target: Target, built: Compiled) -> None:
    target.plug_in()
    built.files[0].write_bytes(b"no program")
    with pytest.raises(BuildError, match="could not load .*a.pt"):
        target.load(built)


def test_a_saved_program_does_not_load_without_the_import(built: Compiled) -> None:
    code = f"import torch; torch.jit.load({str(built.files[0])!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode
    assert "Unknown type name '__torch__.torch.classes.neuron.Model'" in done.stderr


def test_encoder_and_decoder_apart_give_the_same_depth(target: Target) -> None:
    built = target.build_programs(lowered(), apart=True)
    assert [one.stage.name for one in built] == ["encoder", "decoder"]
    assert [one.files[0].name for one in built] == ["b1-encoder.pt", "b1-decoder.pt"]
    target.plug_in()
    encoder, decoder = (target.load(one) for one in built)
    images = pictures()
    assert error(decoder(encoder(images.numpy())), lowered()(images)) < 0.01


def test_flags_name_everything_the_numbers_depend_on(target: Target) -> None:
    facts = target.facts
    assert facts.builder.flags(facts.other_precision) == facts.other_flags


def test_versions_are_those_of_the_packages(target: Target) -> None:
    facts = target.facts
    assert facts.builder.versions() == {name: facts.packages[name] for name in facts.versions}
