"""The fallbacks: what is tried when the compiler dies, in which order, and what is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import pytest

from compile.errors import BuildError, CompilerError
from compile.neuron.fallbacks import Fallback, Ladder, first_compiled
from compile.neuron.log import CompilerLog
from compile.neuron.record import BuildRecord, dump_record, parse_record
from compile.parts import parts
from compile.targets.protocols import Compiled, Part
from tests.support.neuron_standin import lowered

FEWER = (("-O", "0"), ("-O", "legacy"))
EXACT, FAST = "matmult-fp16", "matmult-fp16-relayout"
APART = "Each stage is a part of the graph; an image takes a trip through the host in between."
RELAID = f"Transposes are no longer exact: the numbers differ from those of {EXACT}."


class Compiler:
    """Dies as told, once for each call; afterwards it compiles. Remembers what it was given."""

    def __init__(self, *deaths: Optional[Exception]) -> None:
        self.deaths = list(deaths)
        self.calls: list[tuple[str, str, tuple[str, ...]]] = []

    def __call__(self, part: Part, path: Path, fallback: Fallback) -> BuildRecord:
        self.calls.append((path.name, fallback.precision, fallback.arguments))
        death = self.deaths.pop(0) if self.deaths else None
        if death is not None:
            raise death
        assert not part.module.training
        path.write_bytes(b"program")
        arguments = fallback.arguments
        return BuildRecord(
            "inf1", fallback.precision, arguments, False, 1.5, 7, "work", CompilerLog(), ()
        )


def memory() -> CompilerError:
    return CompilerError("memory", "no memory")


def ladder(batch: int = 1, split: bool = False, **changes: Any) -> Ladder:
    asked = Fallback(batch, split, EXACT)
    return replace(Ladder(asked, FEWER, fast_relayout=FAST), **changes)


def walked(tries: Ladder, *causes: str) -> list[str]:
    """The names of all tries, each after the cause of the failure before, then after "crash"."""
    fallback: Optional[Fallback] = tries.asked
    left, found = list(causes), []
    while fallback:
        found.append(fallback.name)
        fallback = tries.easier(fallback, left.pop(0) if left else "crash")
    return found


def built(folder: Path, compiler: Compiler, batch: int = 1, split: bool = False) -> list[Compiled]:
    network = lowered()
    return first_compiled(
        ladder(batch, split),
        lambda count, wanted: parts(network, count, wanted),
        lambda stage, count: folder / f"28x42-b{count}-{stage}",
        compiler,
    )


def record(one: Compiled) -> BuildRecord:
    assert one.record is not None
    return one.record


def test_the_order_goes_from_what_costs_least_to_what_changes_most() -> None:
    """Each try keeps the steps before it, and half the batch begins anew."""
    one = [
        "as asked",
        "stages apart",
        f"stages apart, precision {FAST}",
        f"stages apart, precision {FAST}, fewer optimisations (-O 0)",
        f"stages apart, precision {FAST}, fewer optimisations (-O legacy)",
    ]
    assert walked(ladder()) == one
    smaller = [f"batch {n}" + (f", {name}" * (name != "as asked")) for n in (2, 1) for name in one]
    assert walked(ladder(batch=4)) == [*one, *smaller]


def test_a_step_that_is_no_step_is_left_out() -> None:
    assert walked(ladder(stages=False))[1] == f"precision {FAST}"
    assert walked(ladder(split=True)) == walked(ladder(stages=False))
    assert walked(ladder(fast_relayout=None, fewer=[("--optlevel", "1")])) == [
        "as asked",
        "stages apart",
        "stages apart, fewer optimisations (--optlevel 1)",
    ]


def test_a_program_that_is_too_large_needs_less_of_the_graph_or_of_the_batch() -> None:
    found = walked(ladder(batch=2), "size", "size", "size", "size")
    assert found == [
        "as asked",
        "stages apart",
        "batch 1",
        "batch 1, stages apart",
        f"batch 1, stages apart, precision {FAST}",
        f"batch 1, stages apart, precision {FAST}, fewer optimisations (-O 0)",
        f"batch 1, stages apart, precision {FAST}, fewer optimisations (-O legacy)",
    ]


def test_an_error_in_the_layout_goes_to_fast_relayout_at_once() -> None:
    found = walked(ladder(), "layout")
    assert found[:3] == ["as asked", f"precision {FAST}", f"precision {FAST}, stages apart"]
    assert walked(ladder(), "crash", "layout")[2] == f"stages apart, precision {FAST}"
    assert walked(ladder(fast_relayout=None), "layout")[1] == "stages apart"


def test_only_the_try_without_an_easier_one_is_last() -> None:
    tries, found = ladder(batch=2), []
    fallback: Optional[Fallback] = tries.asked
    while fallback:
        found.append(tries.is_last(fallback))
        fallback = tries.easier(fallback)
    assert found == [False] * 9 + [True]


def test_a_build_asks_a_compiler_that_lives_once(tmp_path: Path) -> None:
    compiler = Compiler()
    (one,) = built(tmp_path, compiler)
    assert compiler.calls == [("28x42-b1-fused.pt", EXACT, ())]
    assert (one.stage.name, one.batch, one.files) == ("fused", 1, (tmp_path / "28x42-b1-fused.pt",))
    assert record(one).attempts == ()
    assert list(tmp_path.iterdir()) == list(one.files)


def test_the_record_keeps_what_failed_before(tmp_path: Path) -> None:
    compiler = Compiler(memory(), CompilerError("crash", "an internal error"))
    one, _ = built(tmp_path, compiler)
    kept = record(one)
    assert kept.precision == FAST
    assert kept.fallback == f"stages apart, precision {FAST}"
    assert kept.why == f"{APART} {RELAID}"
    assert [(a.fallback, a.cause, a.error) for a in kept.attempts] == [
        ("as asked", "memory", "no memory"),
        ("stages apart", "crash", "an internal error"),
    ]
    assert "because the compiler died: as asked (memory), stages apart (crash)." in kept.warnings[0]


def test_every_stage_is_compiled_with_all_steps_so_far(tmp_path: Path) -> None:
    compiler = Compiler(*[memory()] * 4)
    encoder, decoder = built(tmp_path, compiler)
    assert (encoder.stage.name, decoder.stage.name) == ("encoder", "decoder")
    assert compiler.calls == [
        ("28x42-b1-fused.pt", EXACT, ()),
        ("28x42-b1-encoder.pt", EXACT, ()),
        ("28x42-b1-encoder.pt", FAST, ()),
        ("28x42-b1-encoder.pt", FAST, ("-O", "0")),
        ("28x42-b1-encoder.pt", FAST, ("-O", "legacy")),
        ("28x42-b1-decoder.pt", FAST, ("-O", "legacy")),
    ]
    assert len(record(encoder).attempts) == len(record(decoder).attempts) == 4


def test_half_a_pair_is_no_success_and_a_smaller_batch_is_last(tmp_path: Path) -> None:
    compiler = Compiler(*[memory()] * 4, None, memory())
    (one,) = built(tmp_path, compiler, batch=2)
    assert (one.stage.name, one.batch) == ("fused", 1)
    assert compiler.calls[-1] == ("28x42-b1-fused.pt", EXACT, ())
    assert record(one).fallback == "batch 1"
    assert len(record(one).attempts) == 5
    assert not list(tmp_path.glob("*encoder*"))


@pytest.mark.parametrize("split", [False, True])
def test_a_smaller_batch_that_is_there_is_not_compiled_again(tmp_path: Path, split: bool) -> None:
    before = built(tmp_path, Compiler(), split=split)
    compiler = Compiler(*[memory()] * 5)
    found = built(tmp_path, compiler, batch=2)
    assert [(one.stage, one.files) for one in found] == [(one.stage, one.files) for one in before]
    assert len(compiler.calls) == 5
    assert all(call[0].startswith("28x42-b2") for call in compiler.calls)


def test_the_last_error_names_every_attempt(tmp_path: Path) -> None:
    compiler = Compiler(*[memory()] * 4, CompilerError("time", "too long"))
    with pytest.raises(CompilerError) as caught:
        built(tmp_path, compiler)
    assert caught.value.cause == "time"
    first, *lines = str(caught.value).splitlines()
    assert first == "the compiler died on every attempt:"
    errors = ["no memory"] * 4 + ["too long"]
    assert lines == [f"- {name}: {error}" for name, error in zip(walked(ladder()), errors)]


def test_a_build_does_not_try_again_after_a_refusal(tmp_path: Path) -> None:
    compiler = Compiler(BuildError("aten::sort is not supported"))
    with pytest.raises(BuildError, match="sort"):
        built(tmp_path, compiler)
    assert len(compiler.calls) == 1


def test_parse_record_refuses_a_record_of_another_version(tmp_path: Path) -> None:
    one, _ = built(tmp_path, Compiler(memory()))
    data = dump_record(record(one))
    assert parse_record(data) == one.record
    for damaged in (data.replace(b'"fallback"', b'"rank"'), b"[]", data[:-9]):
        with pytest.raises(ValueError, match=r"\w"):
            parse_record(damaged)


def names(found: Sequence[Compiled]) -> list[str]:
    return [one.files[0].name for one in found]


def test_a_user_who_wants_two_programs_gets_two(tmp_path: Path) -> None:
    found = built(tmp_path, Compiler(memory()), split=True)
    assert names(found) == ["28x42-b1-encoder.pt", "28x42-b1-decoder.pt"]
    assert record(found[0]).fallback == f"precision {FAST}"
