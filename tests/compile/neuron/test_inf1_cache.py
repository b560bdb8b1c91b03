"""Warm start of the `inf1` builder: what is taken from the cache of programs, and what is not."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
from torch import nn

from compile.lowering.passes import lower
from compile.neuron import inf1
from compile.targets.protocols import Settings
from compile.targets.table import NEURON_PASSES
from tests.support.networks import TINY, network
from tests.support.neuron_standin import (
    SMALL,
    Standin,
    build_one,
    example,
    lowered,
    needs_torch_1_13,
    pretend_installed,
    read_record,
    small,
    standin_fixture,
)

__all__ = ["standin_fixture"]
pytestmark = needs_torch_1_13
PRECISION = "matmult-fp16"


def calls_after(
    standin: Standin, stem: Path, made: nn.Module, precision: str = PRECISION, batch: int = 1
) -> int:
    """How often the compiler has run in all, once this is built too."""
    build_one(inf1.BUILDER, made, example(batch), stem, precision, standin.settings)
    return len(standin.calls())


def test_a_second_build_takes_the_program_from_the_cache(standin: Standin, tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    assert calls_after(standin, first, lowered()) == 1
    assert calls_after(standin, second, deepcopy(lowered())) == 1
    assert (tmp_path / "b.pt").read_bytes() == (tmp_path / "a.pt").read_bytes()
    record = read_record(second)
    assert record.from_cache
    assert record.subgraphs == read_record(first).subgraphs


def test_another_precision_batch_or_weight_is_compiled_anew(
    standin: Standin, tmp_path: Path
) -> None:
    stem, other = tmp_path / "a", small()
    other.weight += 1  # type: ignore[operator]
    assert calls_after(standin, stem, small()) == 1
    # The same arguments for the compiler, another program.
    assert calls_after(standin, stem, small(), "matmult-fp16-io16") == 2
    assert calls_after(standin, stem, small(), batch=2) == 3
    assert calls_after(standin, stem, other) == 4
    assert calls_after(standin, stem, small()) == 4


def test_without_settings_files_stay_in_the_users_cache(
    standin: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    build_one(inf1.BUILDER, small(), example(), tmp_path / "a", PRECISION, Settings())
    kept = tmp_path / ".cache/depth-anything-inferentia"
    assert {path.name for path in kept.iterdir()} == {"programs", "work"}
    assert len(standin.calls()) == 1


def test_another_compiler_is_compiled_with_anew(
    standin: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert calls_after(standin, tmp_path / "a", small()) == 1
    pretend_installed(monkeypatch, tmp_path / "newer", {"neuron-cc": "1.25.0.0"})
    assert calls_after(standin, tmp_path / "a", small()) == 2


def test_a_pass_that_changes_no_weight_is_compiled_anew(standin: Standin, tmp_path: Path) -> None:
    sliced = lower(network(TINY, SMALL), [*NEURON_PASSES, "attention_blocks=2"])
    weights = {name: tensor.shape for name, tensor in sliced.state_dict().items()}
    assert weights == {name: tensor.shape for name, tensor in lowered().state_dict().items()}
    assert calls_after(standin, tmp_path / "a", lowered()) == 1
    assert calls_after(standin, tmp_path / "a", sliced) == 2


def test_a_damaged_entry_is_compiled_again(
    standin: Standin, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert calls_after(standin, tmp_path / "a", small()) == 1
    (program,) = standin.settings.folder.glob("programs/*/program")
    program.write_bytes(b"damaged")
    assert calls_after(standin, tmp_path / "b", small()) == 2
    assert "damaged, compiled again" in caplog.text
    assert program.read_bytes() == (tmp_path / "b.pt").read_bytes() != b"damaged"
    assert calls_after(standin, tmp_path / "c", small()) == 2
