"""What to try when the compiler dies: the same program made easier, step by step.

The order goes from what costs least to what changes most for whoever runs the program:

1. as asked;
2. fewer optimisations: same files and same calls, only slower code;
3. a program for each stage: a part of the graph at a time, at the price of a trip through the host;
4. smaller batches: serving has to run more often, and the throughput that was asked for is gone.

Only a compiler that died is worth another try. An operator that it refuses, it refuses every time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable

from compile.errors import CompilerError
from compile.neuron.record import Attempt, BuildRecord
from compile.targets.protocols import Compiled, Name, Part

logger = logging.getLogger(__name__)
Compile = Callable[[Part, Path, tuple[str, ...]], BuildRecord]
Parts = Callable[[int, bool], Sequence[Part]]  # of a batch size, and whether it is split

_LESS_EFFORT = "Same program, compiled with less effort: expect it to be slower."


@dataclass(frozen=True)
class Fallback:
    """One way to ask the compiler for a program."""

    name: str
    why: str
    batch: int
    split: bool = False  # the stages of the network
    arguments: tuple[str, ...] = ()


def fallbacks(
    batch: int, fewer: Sequence[tuple[str, ...]], split: bool, stages: bool = True
) -> tuple[Fallback, ...]:
    """What to try for a batch size, in this order: first as asked.

    `fewer` holds the compiler's arguments for fewer optimisations, the least first. With `split`
    the user wants the stages from the start; `stages`: the network has several.
    """
    asked = Fallback("as asked", "", batch, split)
    found = [asked]
    for arguments in fewer:
        name = f"fewer optimisations ({' '.join(arguments)})"
        found.append(replace(asked, name=name, why=_LESS_EFFORT, arguments=arguments))
    if stages and not split:
        found.append(Fallback("stages apart", "Each is a part of the graph.", batch, True))
    while batch > 1:
        batch //= 2
        found.append(Fallback(f"batch {batch}", "Less data at a time.", batch, split))
    return tuple(found)


def first_compiled(
    tries: Sequence[Fallback], parts: Parts, name: Name, compile_one: Compile
) -> list[Compiled]:
    """The programs of the first fallback with which the compiler lives, each with its record.

    `parts` gives the parts of a lowered network. Raises CompilerError that tells what happened
    with every fallback; any other error at once.
    """
    attempts: list[Attempt] = []
    for fallback in tries:
        started = time.perf_counter()
        try:
            found = _compiled(fallback, parts(fallback.batch, fallback.split), name, compile_one)
        except CompilerError as error:
            duration_s = round(time.perf_counter() - started, 3)
            attempts.append(Attempt(fallback.name, error.cause, str(error), duration_s))
            logger.warning("%s: %s", fallback.name, error)
            continue
        return [_recorded(program, fallback, attempts) for program in found]
    errors = "".join(f"\n- {attempt.fallback}: {attempt.error}" for attempt in attempts)
    raise CompilerError(attempts[-1].cause, f"the compiler died on every attempt:{errors}")


def _compiled(
    fallback: Fallback, parts: Sequence[Part], name: Name, compile_one: Compile
) -> list[Compiled]:
    found: list[Compiled] = []
    try:
        for part in parts:
            stem = name(part.stage.name, fallback.batch)
            path = stem.parent / f"{stem.name}.pt"
            record = compile_one(part, path, fallback.arguments)
            found.append(Compiled(part.stage, part.letters, (path,), record.build_s, record))
    except CompilerError:
        for program in found:  # a stage without the others
            program.files[0].unlink()
        raise
    return found


def _recorded(program: Compiled, fallback: Fallback, attempts: Sequence[Attempt]) -> Compiled:
    if program.record is None:
        return program
    record = replace(
        program.record, fallback=fallback.name, why=fallback.why, attempts=tuple(attempts)
    )
    return replace(program, record=record)
