"""Which layers are in int8: chosen by the error that each of them makes, per work that it saves.

First every group of layers is in int8 alone. The error of several groups is about the root of the
sum of their squares, so groups are put in order by error squared per multiply-accumulate. A
bisection then finds how many of them, from the first, stay within the limit.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Callable

from compile.errors import BuildError
from compile.int8.graph import Layer

MAX_GROUPS = 40  # each costs a trial
# Of the gate's limits. The gate measures photographs that the calibration has not seen, with up to
# 1.6 times the error of the trials.
MARGIN = 0.6
_LEAST_SHARE = 0.004  # of all multiply-accumulates; smaller groups do not pay for a trial

# Layers in int8, and whether a few images are enough, to the largest error as a share of its limit.
Error = Callable[[Collection[str], bool], float]


@dataclass(frozen=True)
class Group:
    """Layers that are in int8 together."""

    name: str  # of a module that holds all of them
    layers: tuple[str, ...]
    share: float  # of all multiply-accumulates


@dataclass(frozen=True)
class Trial:
    name: str  # of a group
    share: float
    error: float  # as a share of the limit, with this group alone in int8
    chosen: bool


@dataclass(frozen=True)
class Choice:
    """The layers that stay float, and the measurements behind."""

    float_layers: tuple[str, ...]
    share: float  # of all multiply-accumulates that are in int8
    error: float  # of all chosen groups together, as a share of the limit
    trials: tuple[Trial, ...]  # in the order of the choice


def groups_of(layers: Sequence[Layer]) -> list[Group]:
    """Layers by module, the deepest modules that give at most `MAX_GROUPS`."""
    whole = sum(layer.macs for layer in layers)
    for depth in (4, 3, 2, 1):
        found: dict[str, list[Layer]] = {}
        for layer in layers:
            found.setdefault(".".join(layer.name.split(".")[:depth]), []).append(layer)
        groups = [
            Group(
                name,
                tuple(layer.name for layer in group),
                sum(layer.macs for layer in group) / whole,
            )
            for name, group in found.items()
        ]
        kept = [group for group in groups if group.share >= _LEAST_SHARE]
        if len(kept) <= MAX_GROUPS:
            return kept
    return kept


def choose(layers: Sequence[Layer], error: Error, say: Callable[[str], None]) -> Choice:
    """The layers whose error stays within `MARGIN`. Raises BuildError if no group's does."""
    groups = groups_of(layers)
    base = error((), True)
    trials: dict[str, float] = {}
    for number, group in enumerate(groups, 1):
        say(f"int8: layers {number} of {len(groups)}, {group.name}")
        trials[group.name] = error(group.layers, True)
    ordered = sorted(groups, key=lambda group: _cost(trials[group.name], base, group))
    count, found = _most(ordered, trials, base, error, say)
    if not count:
        raise BuildError(
            "no part of the network stays within the limit in int8; use another --precision"
        )
    chosen = ordered[:count]
    in_int8 = [name for group in chosen for name in group.layers]
    return Choice(
        covering([layer.name for layer in layers], in_int8),
        round(sum(group.share for group in chosen), 4),
        _digits(found),
        tuple(
            Trial(g.name, round(g.share, 4), _digits(trials[g.name]), g in chosen) for g in ordered
        ),
    )


def covering(layers: Iterable[str], in_int8: Collection[str]) -> tuple[str, ...]:
    """The largest modules without a layer in int8 that hold all other layers, by name."""
    taken = {prefix for name in in_int8 for prefix in _prefixes(name)}
    others = [name for name in layers if name not in in_int8]
    return tuple(sorted({next(p for p in _prefixes(name) if p not in taken) for name in others}))


def _most(
    ordered: Sequence[Group],
    trials: dict[str, float],
    base: float,
    error: Error,
    say: Callable[[str], None],
) -> tuple[int, float]:
    """How many of the first groups stay within the margin, and their error; (0, 0.0) if none."""
    low, high, best = 0, len(ordered), 0.0
    middle = _forecast(ordered, trials, base)
    while low < high:
        middle = min(max(middle, low + 1), high)
        say(f"int8: {middle} of {len(ordered)} groups of layers together")
        found = error([name for group in ordered[:middle] for name in group.layers], False)
        if found <= MARGIN:
            low, best = middle, found
        else:
            high = middle - 1
        middle = (low + high + 1) // 2
    return low, best


def _forecast(ordered: Sequence[Group], trials: dict[str, float], base: float) -> int:
    squares = base**2
    for count, group in enumerate(ordered):
        squares += max(0.0, trials[group.name] ** 2 - base**2)
        if not squares <= MARGIN**2:
            return count
    return len(ordered)


def _cost(trial: float, base: float, group: Group) -> tuple[float, float, str]:
    """Two digits only: what differs less is no difference between two builds either.

    Of equal groups the one goes first that saves the most work.
    """
    cost = max(0.0, trial**2 - base**2) / group.share
    rounded = float(f"{cost:.1e}") if math.isfinite(cost) else math.inf
    return rounded, -group.share, group.name


def _prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[: count + 1]) for count in range(len(parts))]


def _digits(value: float) -> float:
    return float(f"{value:.3g}")
