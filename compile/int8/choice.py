"""Which layers are in int8: chosen by the error that each of them makes, per work that it saves.

First every group of layers is in int8 alone. The error of several groups is about the root of the
sum of their squares, so groups are put in order by error squared per multiply-accumulate. A
bisection then finds how many of them, from the first, stay within a margin of the limit. If the
gate refuses them, a smaller margin is tried, without new trials of single groups.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Callable, Optional

from compile.errors import FloatLayersError
from compile.int8.graph import Layer

MAX_GROUPS = 40  # each costs a trial
# Of the gate's limits. The gate measures photographs that the calibration has not seen, mostly with
# up to 1.6 times the error of the trials. The smaller ones are for those where it finds more.
MARGINS = (0.6, 0.3, 0.15)
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


@dataclass
class Ranking:
    """Groups of layers in the order of the choice, and the trials so far."""

    layers: Sequence[str]
    ordered: Sequence[Group]
    trials: Mapping[str, float]  # errors by group, as shares of the limit
    base: float  # the same with every layer in float
    error: Error
    say: Callable[[str], None]
    together: dict[int, float] = field(default_factory=dict)  # errors by number of groups

    def within(self, margin: float) -> Optional[Choice]:
        """The layers whose error stays within a share of the limit; None if no group's does."""
        count = self._most(margin)
        if not count:
            return None
        chosen = self.ordered[:count]
        in_int8 = [name for group in chosen for name in group.layers]
        return Choice(
            covering(self.layers, in_int8),
            round(sum(group.share for group in chosen), 4),
            _digits(self._error_of(count)),
            tuple(
                Trial(g.name, round(g.share, 4), _digits(self.trials[g.name]), g in chosen)
                for g in self.ordered
            ),
        )

    def _most(self, margin: float) -> int:
        """How many of the first groups stay within the margin."""
        low, high = 0, len(self.ordered)
        middle = self._forecast(margin)
        while low < high:
            middle = min(max(middle, low + 1), high)
            if self._error_of(middle) <= margin:
                low = middle
            else:
                high = middle - 1
            middle = (low + high + 1) // 2
        return low

    def _error_of(self, count: int) -> float:
        if count not in self.together:
            self.say(f"int8: {count} of {len(self.ordered)} groups of layers together")
            names = [name for group in self.ordered[:count] for name in group.layers]
            self.together[count] = self.error(names, False)
        return self.together[count]

    def _forecast(self, margin: float) -> int:
        squares = self.base**2
        for count, group in enumerate(self.ordered):
            squares += max(0.0, self.trials[group.name] ** 2 - self.base**2)
            if not squares <= margin**2:
                return count
        return len(self.ordered)


def ranking(layers: Sequence[Layer], error: Error, say: Callable[[str], None]) -> Ranking:
    """Try every group alone. Raises FloatLayersError if the float layers alone are over the limit.

    The limit here is the first of `MARGINS`.
    """
    base = error((), True)
    if not base <= MARGINS[0]:
        raise FloatLayersError(
            "the layers that stay float are too near to the limit by themselves; use another "
            "--precision"
        )
    groups = groups_of(layers)
    trials: dict[str, float] = {}
    for number, group in enumerate(groups, 1):
        say(f"int8: layers {number} of {len(groups)}, {group.name}")
        trials[group.name] = error(group.layers, True)
    ordered = sorted(groups, key=lambda group: _cost(trials[group.name], base, group))
    return Ranking([layer.name for layer in layers], ordered, trials, base, error, say)


def covering(layers: Iterable[str], in_int8: Collection[str]) -> tuple[str, ...]:
    """The largest modules without a layer in int8 that hold all other layers, by name."""
    taken = {prefix for name in in_int8 for prefix in _prefixes(name)}
    others = [name for name in layers if name not in in_int8]
    return tuple(sorted({next(p for p in _prefixes(name) if p not in taken) for name in others}))


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
