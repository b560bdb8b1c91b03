"""The command `preflight`, as users type it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from compile.preflight.programs import INF1_TORCH, lane_remark
from depth.chips import CHIPS
from tests.compile.preflight.test_preflight import RESIZES, costs_once
from tests.support.compile_command import command
from tests.support.models import TINY, weights

__all__ = ["costs_once"]


DEMO = ("preflight", "--model", "demo", "--size", "28x42")


@pytest.mark.long
def test_the_command_prints_a_table_per_program_and_the_memory_of_all() -> None:
    ended = command(*DEMO, "--size", "56x70", "--batch", 2, "--batch", 2)
    assert ended.code == 0
    tables = [line for line in ended.out.splitlines() if line.endswith("for inf1: passes")]
    assert tables == ["28x42-b2 for inf1: passes", "56x70-b2 for inf1: passes"]
    assert ended.out.splitlines()[-1].startswith(
        "device memory, estimated without the programs' code: 2 program(s), one copy per core: "
    )
    assert ended.err.splitlines() == [
        "28x42-b2: lower and trace",
        "56x70-b2: lower and trace",
        *filter(None, [lane_remark("inf1")]),
    ]


def test_preflight_remarks_another_torch_than_the_compilers() -> None:
    assert lane_remark("inf2") is None
    if torch.__version__.startswith(INF1_TORCH):
        assert lane_remark("inf1") is None
    else:
        remark = lane_remark("inf1") or ""
        assert f"Inf1 compiles with {INF1_TORCH}" in remark
        assert "`.venv-inf1/bin/python -m compile preflight ...`" in remark


def test_without_lowering_the_command_fails_and_still_prints_the_table() -> None:
    ended = command(*DEMO, "--no-lowering")
    assert ended.code == 1
    assert ended.out.startswith("28x42-b1 for inf1: FAILS\n")
    assert all(path in ended.out for path in RESIZES)
    assert ended.err.splitlines()[-1] == (
        "python -m compile: 28x42-b1: 6 operators would not run on the chip: "
        "aten::upsample_bilinear2d, aten::upsample_bicubic2d"
    )


def test_preflight_takes_passes_and_mode_by_name() -> None:
    ended = command(*DEMO, "--passes", "position,resize=conv1x1", "--precision", "all")
    assert ended.code == 0
    assert "estimated for mode all:" in ended.out
    assert "resize=conv1x1: +" in ended.out
    assert "aten::mul" in ended.out  # the layer scale, which no pass has folded


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--passes", "position", "--no-lowering"), "--passes and --no-lowering exclude"),
        (("--passes", "magic"), "no lowering pass 'magic'; choose from position"),
        (("--precision", "fp7"), "target 'inf1' has no precision 'fp7'; choose from "),
        (("--size", "57x70"), "height 57 px: must be a multiple of 14"),
        (("--model", "vitx"), "no model 'vitx'"),
        (("--batch", "0"), "batch 0: must be at least 1"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_wrong_value_is_one_line_and_exit_code_2(arguments: tuple[str, ...], text: str) -> None:
    ended = command(*DEMO, *arguments)
    assert ended.code == 2
    assert text in ended.line()


def test_programs_that_do_not_fit_together_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    chip = replace(
        CHIPS["inf1"], core_bytes=10_000_000, constants_bytes=None
    )  # one needs 7 to 8 MB
    monkeypatch.setitem(CHIPS, "inf1", chip)
    ended = command(*DEMO, "--batch", 1, "--batch", 2)
    assert ended.code == 1
    assert "FAILS: build fewer programs" in ended.out
    assert ended.err.splitlines()[-1] == (
        "python -m compile: the programs do not fit into device memory together; make fewer"
    )


def test_named_weights_must_fit_the_model(tmp_path: Path) -> None:
    file = tmp_path / "tiny.safetensors"
    save_file(weights(TINY), file)
    ended = command(*DEMO, "--checkpoint", file)
    assert ended.code == 1
    assert "tiny.safetensors: weights of " in ended.line()
    assert ", demo has 6 of 192" in ended.line()


def test_fixed_seed_weights_fit() -> None:
    assert command(*DEMO, "--checkpoint", "untrained").code == 0
