"""What to try when the compiler dies: the same program made easier, step by step.

The order goes from what costs least to what changes most for whoever runs the program:

1. as asked;
2. fewer optimisations: same files and same calls, only slower code;
3. encoder and decoder apart: half the graph at a time, at the price of a trip through the host;
4. smaller batches: serving has to run more often, and the throughput that was asked for is gone.

Only a compiler that died is worth another try. An operator that it refuses, it refuses every time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, cast

import torch
from torch import Tensor, nn

from compile.errors import CompilerError
from compile.lowering.network import OpenNetwork
from compile.lowering.stages import split
from compile.neuron.record import Attempt, BuildRecord
from compile.targets.protocols import Built, Name
from depth.artifact.manifest import DECODER, ENCODER, FUSED

logger = logging.getLogger(__name__)
Compile = Callable[[nn.Module, Tensor, Path, tuple[str, ...]], BuildRecord]


@dataclass(frozen=True)
class Rung:
    name: str
    why: str
    batch: int
    apart: bool = False  # encoder and decoder
    arguments: tuple[str, ...] = ()


def rungs(batch: int, fewer: Sequence[tuple[str, ...]], apart: bool) -> tuple[Rung, ...]:
    """The whole ladder for a batch size.

    `fewer` holds the compiler's arguments for fewer optimisations, the least first. With `apart`
    the user wants two programs from the start.
    """
    asked = Rung("as asked", "", batch, apart)
    found = [asked, *gentle(asked, fewer)]
    if not apart:
        found.append(Rung("encoder and decoder apart", "Each is half the graph.", batch, True))
    while batch > 1:
        batch //= 2
        found.append(Rung(f"batch {batch}", "Less data at a time.", batch, apart))
    return tuple(found)


def gentle(asked: Rung, fewer: Sequence[tuple[str, ...]]) -> list[Rung]:
    """The rungs that give the same files for the same calls."""
    why = "Same program, compiled with less effort: expect it to be slower."
    return [
        replace(
            asked, name=f"fewer optimisations ({' '.join(arguments)})", why=why, arguments=arguments
        )
        for arguments in fewer
    ]


def climb(
    ladder: Sequence[Rung], network: nn.Module, example: Tensor, name: Name, compile_one: Compile
) -> list[Built]:
    """The programs of the first rung on which the compiler lives, each with its record.

    `network` is what `compile.lowering.passes.lower` gives, `example` [batch,3,H,W]. Raises
    CompilerError that tells what happened on every rung; any other error at once.
    """
    attempts: list[Attempt] = []
    for rung in ladder:
        started = time.perf_counter()
        try:
            found = _compiled(rung, network, example[: rung.batch], name, compile_one)
        except CompilerError as error:
            duration_s = round(time.perf_counter() - started, 3)
            attempts.append(Attempt(rung.name, error.cause, str(error), duration_s))
            logger.warning("%s: %s", rung.name, error)
            continue
        return [_recorded(built, rung, attempts) for built in found]
    told = "".join(f"\n- {one.rung}: {one.error}" for one in attempts)
    raise CompilerError(attempts[-1].cause, f"the compiler died on every attempt:{told}")


def _compiled(
    rung: Rung, network: nn.Module, example: Tensor, name: Name, compile_one: Compile
) -> list[Built]:
    found: list[Built] = []
    try:
        for stage, module, tensor in _stages(rung, network, example):
            stem = name(stage, rung.batch)
            path = stem.parent / f"{stem.name}.pt"
            record = compile_one(module, tensor, path, rung.arguments)
            found.append(Built(stage, rung.batch, (path,), record))
    except CompilerError:
        for built in found:  # an encoder without its decoder
            built.files[0].unlink()
        raise
    return found


def _stages(rung: Rung, network: nn.Module, example: Tensor) -> list[tuple[str, nn.Module, Tensor]]:
    if not rung.apart:
        return [(FUSED, network, example)]
    encoder, decoder = (stage.eval() for stage in split(cast(OpenNetwork, network)))
    with torch.no_grad():
        features = encoder(example)  # [B,h*w,4*D]
    return [(ENCODER, encoder, example), (DECODER, decoder, features)]


def _recorded(built: Built, rung: Rung, attempts: Sequence[Attempt]) -> Built:
    record = replace(built.record, rung=rung.name, why=rung.why, attempts=tuple(attempts))
    return replace(built, record=record)
