"""What to try when the compiler dies: the same program made easier, step by step.

The order goes from what costs least to what changes most for the program's user:

1. as asked;
2. stages apart: each part of the graph is a program, with the same numbers. An image takes a trip
   through the host between encoder and decoder;
3. fast relayout, on Inf1 for a mode with exact transposes: another precision, so the numbers
   change. Parity on the device decides whether they are near enough;
4. fewer optimisations: the same numbers, slower code;
5. half the batch: serving runs more often, and the throughput that was asked for is gone.

Each try keeps the steps before it. The compiler has died without them, and no message says that the
new step alone would save it: a part of the graph is less work than the graph at every level of
optimisation. Only another level of optimisation replaces the level before. Half the batch begins
anew, as asked: it is another program, half the work, and may not need what the larger batch needed.

A cause that is known goes to its cure at once. A program that is too large needs less of the graph,
or less of the batch. An index error in the layout of tensors was cured by fast relayout.

Only a compiler that died is worth another try. An operator that it refuses, it refuses every time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, Optional

from compile.errors import CompilerError
from compile.neuron.failure import LAYOUT, TOO_LARGE
from compile.neuron.record import Attempt, BuildRecord
from compile.targets.protocols import Compiled, Name, Part

logger = logging.getLogger(__name__)

_APART = "Each stage is a part of the graph; an image takes a trip through the host in between."
_RELAID = "Transposes are no longer exact: the numbers differ from those of {asked}."
_LESS_EFFORT = "Compiled with less effort: expect slower code."
_SMALLER = "Less data at a time."


@dataclass(frozen=True)
class Fallback:
    """One way to ask the compiler for a program."""

    batch: int
    split: bool  # the stages of the network
    precision: str
    arguments: tuple[str, ...] = ()  # for fewer optimisations
    changes: tuple[str, ...] = ()  # against what was asked
    reasons: tuple[str, ...] = ()  # one for each change

    @property
    def name(self) -> str:
        return ", ".join(self.changes) or "as asked"

    def but(self, change: str, reason: str, **fields: object) -> Fallback:
        """This fallback with another change."""
        both = {"changes": (*self.changes, change), "reasons": (*self.reasons, reason)}
        return replace(self, **both, **fields)  # type: ignore[arg-type]


Compile = Callable[[Part, Path, Fallback], BuildRecord]
Parts = Callable[[int, bool], Sequence[Part]]  # of a batch size, and whether it is split


@dataclass(frozen=True)
class Ladder:
    """Which programs to ask for instead of the asked program."""

    asked: Fallback
    fewer: Sequence[tuple[str, ...]]  # the compiler's arguments for fewer optimisations, in order
    stages: bool = True  # the network has several
    fast_relayout: Optional[str] = None  # the precision with fast relayout, if that is another

    def easier(self, failed: Fallback, cause: str = "") -> Optional[Fallback]:
        """The next try after one that failed with this cause; None after the last."""
        steps = [self._apart, self._relaid, self._less_effort, self._smaller]
        if cause == TOO_LARGE:
            steps = [self._apart, self._smaller, self._relaid, self._less_effort]
        if cause == LAYOUT:
            steps = [self._relaid, self._apart, self._less_effort, self._smaller]
        return next(filter(None, (step(failed) for step in steps)), None)

    def is_last(self, fallback: Fallback) -> bool:
        """Whether nothing easier is left."""
        return self.easier(fallback) is None

    def _apart(self, failed: Fallback) -> Optional[Fallback]:
        if failed.split or not self.stages:
            return None
        return failed.but("stages apart", _APART, split=True)

    def _relaid(self, failed: Fallback) -> Optional[Fallback]:
        if self.fast_relayout in (None, failed.precision):
            return None
        reason = _RELAID.format(asked=self.asked.precision)
        name = f"precision {self.fast_relayout}"
        return failed.but(name, reason, precision=self.fast_relayout)

    def _less_effort(self, failed: Fallback) -> Optional[Fallback]:
        tried = list(self.fewer).index(failed.arguments) + 1 if failed.arguments else 0
        if tried == len(self.fewer):
            return None
        if tried:  # this level replaces the one before, which was the last change
            failed = replace(failed, changes=failed.changes[:-1], reasons=failed.reasons[:-1])
        arguments = self.fewer[tried]
        name = f"fewer optimisations ({' '.join(arguments)})"
        return failed.but(name, _LESS_EFFORT, arguments=arguments)

    def _smaller(self, failed: Fallback) -> Optional[Fallback]:
        batch = failed.batch // 2
        if not batch:
            return None
        return self.asked.but(f"batch {batch}", _SMALLER, batch=batch)


def first_compiled(
    ladder: Ladder, parts: Parts, name: Name, compile_one: Compile
) -> list[Compiled]:
    """The programs of the first fallback with which the compiler lives, each with its record.

    `parts` gives the parts of a lowered network. Raises CompilerError that tells what happened
    with every fallback; any other error at once.
    """
    attempts: list[Attempt] = []
    fallback: Optional[Fallback] = ladder.asked
    while fallback:
        made = _made_before(ladder, fallback, parts, name)
        if made:
            return made
        started = time.perf_counter()
        try:
            found = _compiled(fallback, parts(fallback.batch, fallback.split), name, compile_one)
        except CompilerError as error:
            duration_s = round(time.perf_counter() - started, 3)
            attempts.append(Attempt(fallback.name, error.cause, str(error), duration_s))
            logger.warning("%s: %s", fallback.name, error)
            fallback = ladder.easier(fallback, error.cause)
            continue
        return [_recorded(program, fallback, attempts) for program in found]
    errors = "".join(f"\n- {attempt.fallback}: {attempt.error}" for attempt in attempts)
    raise CompilerError(attempts[-1].cause, f"the compiler died on every attempt:{errors}")


def _made_before(ladder: Ladder, fallback: Fallback, parts: Parts, name: Name) -> list[Compiled]:
    """The programs of a smaller batch that the user asked for too, if they are there."""
    if fallback.batch == ladder.asked.batch:
        return []
    chains = (parts(fallback.batch, split) for split in (False, True))
    found = ([Compiled(p.stage, p.letters, (_path(p, name),), 0.0) for p in c] for c in chains)
    there = (c for c in found if all(program.files[0].exists() for program in c))
    return next(there, [])


def _path(part: Part, name: Name) -> Path:
    stem = name(part.stage.name, part.batch)
    return stem.parent / f"{stem.name}.pt"


def _compiled(
    fallback: Fallback, parts: Sequence[Part], name: Name, compile_one: Compile
) -> list[Compiled]:
    found: list[Compiled] = []
    try:
        for part in parts:
            path = _path(part, name)
            record = compile_one(part, path, fallback)
            found.append(Compiled(part.stage, part.letters, (path,), record.build_s, record))
    except CompilerError:
        for program in found:  # a stage without the others
            program.files[0].unlink()
        raise
    return found


def _recorded(program: Compiled, fallback: Fallback, attempts: Sequence[Attempt]) -> Compiled:
    if program.record is None:
        return program
    why = " ".join(fallback.reasons)
    record = replace(program.record, fallback=fallback.name, why=why, attempts=tuple(attempts))
    return replace(program, record=record)
