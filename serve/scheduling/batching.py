"""Which batch size to run, and the arrays of requests into a batch and out again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import numpy as np

from serve.arrays import Arrays
from serve.errors import Action, ProgramError


def batch_size(waiting: int, batches: Sequence[int], due: bool) -> Optional[int]:
    """The batch size to run for this many requests; None to wait for more.

    `batches` are those of the shape's programs, ascending. Once requests are due, the smallest
    batch that holds them all runs if at least half of it is used; a padded place costs as much as a
    used one.
    """
    if waiting >= batches[-1]:
        return batches[-1]
    if not due:
        return None
    holds_all = min(batch for batch in batches if batch >= waiting)
    full = [batch for batch in batches if batch <= waiting]
    return full[-1] if full and 2 * waiting < holds_all else holds_all


def stacked(requests: Sequence[Arrays], batch: int) -> Arrays:
    """Each array [...] of the requests -> [batch,...]; the last request fills the places left over.

    A request, because a place filled with zeros could fail where requests do not. Raises
    ProgramError if the requests do not go together.
    """
    first = requests[0]
    if len(requests) == batch == 1:
        return {name: array[None] for name, array in first.items()}  # views: images are megabytes
    padded = [*requests, *[requests[-1]] * (batch - len(requests))]
    try:
        return {name: np.stack([each[name] for each in padded]) for name in first}
    except (KeyError, ValueError) as error:
        raise ProgramError(
            f"requests of one batch have other arrays: {error}", Action.REQUEST_FAULT
        ) from error


def split(outputs: Arrays, batch: int, count: int) -> list[Arrays]:
    """Each output [batch,...] -> the first `count` answers, whose arrays [...] are views of it.

    Raises ProgramError if an output has no axis for the batch.
    """
    for name, array in outputs.items():
        if not array.ndim or len(array) != batch:
            raise ProgramError(
                f"output {name} has shape {list(array.shape)}, expected {batch} in front; compile "
                "the artifact again",
                Action.ARTIFACT_FAULT,
            )
    return [{name: array[place] for name, array in outputs.items()} for place in range(count)]
