"""The precision modes: exact compiler tokens, names, and the documented order."""

from __future__ import annotations

import pytest

from compile.errors import TargetError
from compile.targets.modes import (
    BF16,
    FP16,
    FP32,
    MODES,
    TF32,
    mode_named,
    modes_of,
    with_fast_relayout,
)


@pytest.mark.parametrize(
    ("key", "tokens"),
    [
        ("inf1:all-relayout", ("--fast-math", "fp32-cast-all", "fast-relayout")),
        ("inf1:all-fp16", ("--fast-math", "fp32-cast-all-fp16", "no-fast-relayout")),
        ("inf1:matmult", ("--fast-math", "fp32-cast-matmult", "no-fast-relayout")),
        ("inf1:matmult-bf16-io16", ("--fast-math", "fp32-cast-matmult-bf16", "no-fast-relayout")),
        ("inf1:matmult-fp16-relayout", ("--fast-math", "fp32-cast-matmult-fp16", "fast-relayout")),
        ("inf2:all-tf32", ("--auto-cast", "all", "--auto-cast-type", "tf32")),
        ("inf2:matmult-bf16", ("--auto-cast", "matmult", "--auto-cast-type", "bf16")),
        ("inf2:none", ("--auto-cast", "none")),
    ],
)
def test_a_mode_gives_the_compiler_its_tokens_one_by_one(key: str, tokens: tuple[str, ...]) -> None:
    assert MODES[key].compiler_args == tokens


def test_every_documented_combination_is_there_once() -> None:
    assert len(modes_of("inf1")) == 5 * 2 * 2  # casts, relayout, input and output
    assert len(modes_of("inf2")) == 1 + 2 * 3  # none, and casts by types
    told = [(mode.target, mode.compiler_args, mode.optimizations) for mode in MODES.values()]
    assert len(set(told)) == len(told) == len(MODES)
    assert all(mode.key == key for key, mode in MODES.items())


@pytest.mark.parametrize(
    ("name", "matmul", "everything", "relayout"),
    [
        ("all-relayout", BF16, BF16, BF16),
        ("all", BF16, BF16, None),
        ("all-fp16-relayout", FP16, FP16, FP16),
        ("matmult-relayout", BF16, None, FP16),  # the one that mixes: transposes are in fp16
        ("matmult-bf16-relayout", BF16, None, BF16),
        ("matmult-fp16-relayout", FP16, None, FP16),
        ("matmult-fp16", FP16, None, None),
    ],
)
def test_inf1_casts_are_what_the_command_line_reference_says(
    name: str, matmul: str, everything: str, relayout: str
) -> None:
    mode = mode_named("inf1", name)
    assert (mode.matmul, mode.everything, mode.relayout) == (matmul, everything, relayout)
    assert (mode.io, mode.optimizations) == (FP32, ())
    half = mode_named("inf1", f"{name}-io16")
    assert (half.io, half.optimizations) == (FP16, ("FLOAT32_TO_FLOAT16",))
    assert half.compiler_args == mode.compiler_args
    assert half.speed_rank == mode.speed_rank + 1


def test_inf2_casts_nothing_to_everything() -> None:
    none, whole = mode_named("inf2", "none"), mode_named("inf2", "all-tf32")
    assert (none.matmul, none.everything) == (FP32, None)
    assert (whole.matmul, whole.everything) == (TF32, TF32)
    assert {mode.io for mode in modes_of("inf2")} == {FP32}


def test_modes_come_in_the_documented_order_of_speed() -> None:
    inf1 = [mode.name for mode in modes_of("inf1") if mode.io == FP32]
    ladder = ["all-relayout", "matmult-relayout", "matmult"]  # of the note on mixed precision
    assert [name for name in inf1 if name in ladder] == ladder
    assert inf1[0] == "all-relayout"
    assert [mode.name for mode in modes_of("inf2")] == [
        *("all-bf16", "matmult-bf16", "all-fp16", "matmult-fp16"),
        *("all-tf32", "matmult-tf32", "none"),
    ]
    for target in ("inf1", "inf2"):
        ranks = [mode.speed_rank for mode in modes_of(target)]
        assert ranks == sorted(ranks)
        assert ranks[0] == 1


def test_fast_relayout_is_the_same_mode_with_fast_transposes() -> None:
    fast = with_fast_relayout(mode_named("inf1", "matmult-fp16"))
    assert fast is mode_named("inf1", "matmult-fp16-relayout")
    half = with_fast_relayout(mode_named("inf1", "all-io16"))
    assert half is mode_named("inf1", "all-relayout-io16")
    exact = [mode for mode in MODES.values() if mode.target == "inf1" and mode.relayout is None]
    for mode in exact:
        found = with_fast_relayout(mode)
        assert found is not None
        assert (found.matmul, found.everything, found.io) == (mode.matmul, mode.everything, mode.io)
        assert with_fast_relayout(found) is None
    assert not any(map(with_fast_relayout, modes_of("inf2")))


def test_an_unknown_mode_or_target_lists_what_there_is() -> None:
    with pytest.raises(TargetError, match=r"no precision 'fp8'; choose from all-bf16, .*none$"):
        mode_named("inf2", "fp8")
    with pytest.raises(TargetError, match="'openvino' has no precision modes; inf1, inf2 have"):
        modes_of("openvino")
