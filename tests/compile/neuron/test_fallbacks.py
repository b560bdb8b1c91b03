"""The fallbacks: what is tried when the compiler dies, in which order, and what is kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import pytest

from compile.errors import BuildError, CompilerError
from compile.neuron.fallbacks import fallbacks, first_compiled
from compile.neuron.log import CompilerLog
from compile.neuron.record import BuildRecord, dump_record, parse_record
from compile.parts import parts
from compile.targets.protocols import Compiled, Part
from tests.support.neuron_standin import lowered

FEWER = (("-O", "0"), ("-O", "legacy"))
LESS = "Same program, compiled with less effort: expect it to be slower."


class Compiler:
    """Dies as told, once for each call; afterwards it compiles. Remembers what it was given."""

    def __init__(self, *deaths: Optional[Exception]) -> None:
        self.deaths = list(deaths)
        self.calls: list[tuple[str, tuple[int, ...], tuple[str, ...]]] = []

    def __call__(self, part: Part, path: Path, arguments: tuple[str, ...]) -> BuildRecord:
        (given,) = part.examples
        self.calls.append((path.name, tuple(given.shape), arguments))
        death = self.deaths.pop(0) if self.deaths else None
        if death is not None:
            raise death
        assert not part.module.training
        path.write_bytes(b"program")
        return BuildRecord("inf1", "all", arguments, False, 1.5, 7, "work", CompilerLog(), ())


def memory() -> CompilerError:
    return CompilerError("memory", "no memory")


def built(folder: Path, compiler: Compiler, batch: int = 1, split: bool = False) -> list[Compiled]:
    tries, network = fallbacks(batch, FEWER, split), lowered()
    return first_compiled(
        tries,
        lambda count, wanted: parts(network, count, wanted),
        lambda stage, count: folder / f"28x42-b{count}-{stage}",
        compiler,
    )


def record(one: Compiled) -> BuildRecord:
    assert one.record is not None
    return one.record


def test_the_order_goes_from_what_costs_least_to_what_changes_most() -> None:
    assert [fallback.name for fallback in fallbacks(4, FEWER, split=False)] == [
        "as asked",
        "fewer optimisations (-O 0)",
        "fewer optimisations (-O legacy)",
        "stages apart",
        "batch 2",
        "batch 1",
    ]
    assert len(fallbacks(1, FEWER, split=False)) == 4
    whole = fallbacks(1, FEWER, split=False, stages=False)  # of a network that has no stages
    assert [fallback.split for fallback in whole] == [False] * 3
    split = fallbacks(2, FEWER, split=True)
    assert [fallback.batch for fallback in split] == [2, 2, 2, 1]
    assert all(fallback.split for fallback in split)


def test_a_build_asks_a_compiler_that_lives_once(tmp_path: Path) -> None:
    compiler = Compiler()
    (one,) = built(tmp_path, compiler)
    assert compiler.calls == [("28x42-b1-fused.pt", (1, 3, 28, 42), ())]
    assert (one.stage.name, one.batch, one.files) == ("fused", 1, (tmp_path / "28x42-b1-fused.pt",))
    assert record(one).attempts == ()
    assert list(tmp_path.iterdir()) == list(one.files)


def test_the_record_keeps_what_failed_before(tmp_path: Path) -> None:
    compiler = Compiler(memory(), CompilerError("crash", "an internal error"))
    (one,) = built(tmp_path, compiler)
    assert [call[2] for call in compiler.calls] == [(), ("-O", "0"), ("-O", "legacy")]
    kept = record(one)
    assert (kept.fallback, kept.why) == ("fewer optimisations (-O legacy)", LESS)
    assert [(a.fallback, a.cause, a.error) for a in kept.attempts] == [
        ("as asked", "memory", "no memory"),
        ("fewer optimisations (-O 0)", "crash", "an internal error"),
    ]
    assert "because the compiler died: as asked (memory)" in kept.warnings[0]


def test_a_build_then_compiles_encoder_and_decoder_apart(tmp_path: Path) -> None:
    compiler = Compiler(memory(), memory(), memory())
    encoder, decoder = built(tmp_path, compiler)
    assert (encoder.stage.name, decoder.stage.name) == ("encoder", "decoder")
    assert compiler.calls[3:] == [
        ("28x42-b1-encoder.pt", (1, 3, 28, 42), ()),
        ("28x42-b1-decoder.pt", (1, 6, 96), ()),
    ]
    assert len(record(encoder).attempts) == len(record(decoder).attempts) == 3


def test_half_a_pair_is_no_success_and_a_smaller_batch_is_last(tmp_path: Path) -> None:
    compiler = Compiler(memory(), memory(), memory(), None, memory())
    (one,) = built(tmp_path, compiler, batch=2)
    assert (one.stage.name, one.batch) == ("fused", 1)
    assert compiler.calls[-1] == ("28x42-b1-fused.pt", (1, 3, 28, 42), ())
    assert [attempt.fallback for attempt in record(one).attempts][-1] == "stages apart"
    assert not list(tmp_path.glob("*encoder*"))


def test_the_last_error_names_every_attempt(tmp_path: Path) -> None:
    compiler = Compiler(*[memory()] * 3, CompilerError("time", "too long"))
    with pytest.raises(CompilerError) as caught:
        built(tmp_path, compiler)
    assert caught.value.cause == "time"
    assert str(caught.value).splitlines() == [
        "the compiler died on every attempt:",
        "- as asked: no memory",
        "- fewer optimisations (-O 0): no memory",
        "- fewer optimisations (-O legacy): no memory",
        "- stages apart: too long",
    ]


def test_a_build_does_not_try_again_after_a_refusal(tmp_path: Path) -> None:
    compiler = Compiler(BuildError("aten::sort is not supported"))
    with pytest.raises(BuildError, match="sort"):
        built(tmp_path, compiler)
    assert len(compiler.calls) == 1


def test_parse_record_refuses_a_record_of_another_version(tmp_path: Path) -> None:
    compiler = Compiler(memory())
    (one,) = built(tmp_path, compiler)
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
    assert record(found[0]).fallback == "fewer optimisations (-O 0)"
