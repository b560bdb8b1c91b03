"""Which layers are in int8: the order, the limit, and the names of what stays float."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Optional

import pytest

from compile.errors import FloatLayersError
from compile.int8.choice import (
    MARGINS,
    MAX_GROUPS,
    Choice,
    Error,
    Ranking,
    covering,
    groups_of,
    ranking,
)
from compile.int8.graph import Layer

LAYERS = [
    Layer("encoder.blocks.0.attn.qkv", 300),
    Layer("encoder.blocks.0.attn.proj", 100),
    Layer("encoder.blocks.0.mlp.fc1", 400),
    Layer("decoder.reduce", 199),
    Layer("decoder.tiny", 1),
]


class Errors:
    """Errors of layers that add up as the root of the sum of their squares."""

    def __init__(self, **errors: float) -> None:
        self.errors = {name.replace("_", "."): error for name, error in errors.items()}
        self.base = self.errors.pop("base", 0.0)
        self.few: list[bool] = []

    def __call__(self, in_int8: Collection[str], few: bool) -> float:
        self.few.append(few)
        found = [error for name, error in self.errors.items() if {name} & prefixes(in_int8)]
        return math.hypot(self.base, *found)


def prefixes(names: Collection[str]) -> set[str]:
    return {name[:end] for name in names for end in range(len(name) + 1)}


def ranked(errors: Error, said: Optional[list[str]] = None) -> Ranking:
    return ranking(LAYERS, errors, (said if said is not None else []).append)


def chosen(errors: Errors) -> Choice:
    choice = ranked(errors).within(MARGINS[0])
    assert choice is not None
    return choice


def in_int8(choice: Choice) -> list[str]:
    return [trial.name for trial in choice.trials if trial.chosen]


def test_layers_are_grouped_by_module_and_what_saves_nothing_is_left_out() -> None:
    groups = groups_of(LAYERS)
    assert [group.name for group in groups] == [
        "encoder.blocks.0.attn",
        "encoder.blocks.0.mlp",
        "decoder.reduce",
    ]
    assert groups[0].layers == ("encoder.blocks.0.attn.qkv", "encoder.blocks.0.attn.proj")
    assert [group.share for group in groups] == [0.4, 0.4, 0.199]


def test_many_layers_are_grouped_by_larger_modules() -> None:
    layers = [
        Layer(f"encoder.blocks.{number}.{part}.fc", 10)
        for number in range(MAX_GROUPS)
        for part in ("attn", "mlp")
    ]
    groups = groups_of(layers)
    assert len(groups) == MAX_GROUPS
    assert groups[0].name == "encoder.blocks.0"


def test_all_within_the_margin_are_taken() -> None:
    errors = Errors(encoder_blocks_0_attn=0.1, encoder_blocks_0_mlp=0.2, decoder_reduce=0.3)
    choice = chosen(errors)
    assert in_int8(choice) == [
        "encoder.blocks.0.attn",
        "encoder.blocks.0.mlp",
        "decoder.reduce",
    ]
    assert choice.float_layers == ("decoder.tiny",)
    assert choice.share == pytest.approx(0.999)
    assert choice.error == pytest.approx(math.hypot(0.1, 0.2, 0.3), abs=1e-3)
    # Each group on a few images, the whole choice on all.
    assert errors.few == [True] * 4 + [False]


def test_the_error_per_work_decides_who_goes_first() -> None:
    """The smaller error saves a quarter of the work, so that it costs more."""
    errors = Errors(encoder_blocks_0_attn=0.5, encoder_blocks_0_mlp=0.5, decoder_reduce=0.4)
    choice = chosen(errors)
    assert [trial.name for trial in choice.trials][-1] == "decoder.reduce"
    assert in_int8(choice) == ["encoder.blocks.0.attn"]
    assert choice.error <= MARGINS[0]
    assert choice.float_layers == ("decoder", "encoder.blocks.0.mlp")


def test_errors_that_do_not_add_up_are_measured_together() -> None:
    """Alone, each is far within; together they are over. The forecast alone would take all."""

    class Together(Errors):
        def __call__(self, in_int8: Collection[str], few: bool) -> float:
            self.few.append(few)
            return 0.01 if few else 0.25 * len(in_int8)

    choice = chosen(Together())
    assert len(in_int8(choice)) == 1
    assert choice.error == 0.5


def test_the_error_of_float_layers_is_no_layers_own() -> None:
    """bf16 alone makes 0.4: a group that adds nothing costs nothing."""
    errors = Errors(base=0.4, encoder_blocks_0_attn=0.3, encoder_blocks_0_mlp=0.0, decoder_reduce=9)
    choice = chosen(errors)
    assert in_int8(choice) == ["encoder.blocks.0.mlp", "encoder.blocks.0.attn"]
    assert choice.error == 0.5


@pytest.mark.parametrize("error", [0.61, math.inf, math.nan])
def test_if_no_group_stays_within_the_limit_there_is_no_choice(error: float) -> None:
    assert ranked(lambda in_int8, _: error if in_int8 else 0.0).within(MARGINS[0]) is None


@pytest.mark.parametrize("base", [0.61, math.inf, math.nan])
def test_float_layers_that_are_over_the_limit_alone_end_the_trials(base: float) -> None:
    said: list[str] = []
    with pytest.raises(FloatLayersError, match="too near to the limit by themselves"):
        ranked(lambda *_: base, said)
    assert said == []


def test_a_smaller_margin_needs_no_new_trials_of_single_groups() -> None:
    errors = Errors(encoder_blocks_0_attn=0.1, encoder_blocks_0_mlp=0.2, decoder_reduce=0.5)
    said: list[str] = []
    found = ranked(errors, said)
    first, second, third = (found.within(margin) for margin in (0.6, 0.3, 0.15))
    assert first
    assert second
    assert third
    assert [len(in_int8(choice)) for choice in (first, second, third)] == [3, 2, 1]
    assert len([text for text in said if "layers 1 of 3" in text]) == 1
    # Sets of groups are measured once, whatever the margin.
    together = [text for text in said if "together" in text]
    assert len(together) == len(set(together))


def test_names_of_what_stays_float_are_as_short_as_can_be() -> None:
    names = ["a.b.c", "a.b.d", "a.e", "f.g", "f.h"]
    assert covering(names, ["a.b.c"]) == ("a.b.d", "a.e", "f")
    assert covering(names, []) == ("a", "f")
    assert covering(names, names) == ()
