"""The forecast of one model for one target, as a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from compile.errors import PrecisionError
from compile.parity.measure import figures
from compile.precision.forecast import Forecast, StageShare, choose
from compile.targets.modes import Mode
from compile.targets.protocols import Limit
from compile.targets.table import default_precision
from depth.console import markdown
from depth.family import DEPTH
from depth.sizes import size_text

INTRODUCTION = """\
# Precision forecast

Which precision mode of the Neuron compilers keeps the depth of a model? These tables are forecasts:
the network ran on a CPU with its values rounded as the AWS Neuron SDK documentation says that the
compiler casts them. Nothing here was measured on a Neuron device.

What is rounded: both factors of every matrix product and convolution, with products summed in
float32; in the modes that cast everything, weights and the result of every other operator as well,
with softmax and layer normalisation taken step by step; with `relayout`, the result of every
transpose; with `io16`, input and output. A value that leaves the range of float16 puts its mode
out, and the table names the module where it happened first.

What is not known, and so not in the numbers: which transposes the compiler adds for its own layout,
which operators it fuses and keeps in float32 inside, its approximations of functions such as GELU,
and whether float16 in and out makes the inside float16 too (then `all-fp16-io16` is the row to read
for every `io16` mode). Other images may reach further into the range of float16 than these. Parity
on the device is what decides.

The errors are the worst of all test images, against the same network in float32: `max_rel` relative
to the largest reference value, `mean_rel` to its mean, `abs_rel` and `delta1` per pixel where the
reference is over 1 % of its largest value. The rank of speed is documented or expected, not
measured. The documentation does not tell modes of the same rank apart; of those the mode with the
smaller error is taken. Modes with the same figures share the row of the fastest. The order in which
a CPU adds up moves the errors by some per cent from one machine, or number of threads, to the next.
"""

_RANK, _SAME = "rank (1 = fastest)", "same figures (rank)"
_DEPTH_NUMBERS = ("max_rel", "mean_rel", "abs_rel", "delta1")


@dataclass(frozen=True)
class PrecisionReport:
    name: str  # model and weights
    target: str
    size: tuple[int, int]  # (height, width) in px
    passes: tuple[str, ...]  # that lowered the network
    images: tuple[str, ...]
    limit: Limit
    forecasts: tuple[Forecast, ...]
    shares: tuple[StageShare, ...] = ()  # of a model of scenes

    def choose(self) -> Forecast:
        """The fastest mode within the limit. Raises PrecisionError if there is none."""
        return choose(self.forecasts, self.limit)

    def markdown(self) -> str:
        """Facts, the table and what follows from it."""
        chosen: Optional[Forecast] = None
        try:
            chosen = self.choose()
            verdict = self._choice(chosen)
        except PrecisionError as error:
            verdict = f"Not usable: {error}."
        facts = [
            f"## {self.name} at {size_text(self.size)} for {self.target}",
            "",
            "- forecast by rounding on a CPU, not measured on a device",
            f"- lowering: {', '.join(self.passes) or 'none'}",
            f"- test images: {', '.join(self.images)}",
            f"- limit: max_rel {self.limit.max_rel:g}, mean_rel {self.limit.mean_rel:g}"
            + "".join(f"; {text}" for text in self._other_limits()),
            "",
        ]
        table = _table(self.forecasts, self.limit, chosen)
        return "\n".join([*facts, *table, "", verdict, "", *self._shares()])

    def _shares(self) -> list[str]:
        """What the error is if one stage rounds and the others are float32."""
        if not self.shares:
            return []
        names = [output.name for output in self.shares[0].forecast.outputs if output.name != DEPTH]
        rows = [
            (share.stage, *_figures(share.forecast, names, self.limit)) for share in self.shares
        ]
        heading = ("stage that rounds", *_DEPTH_NUMBERS, *names)
        return [
            f"Mode `{self.shares[0].forecast.mode.name}` in one stage, float32 in the others:",
            "",
            *markdown(heading, rows, right=range(1, len(heading))),
            "",
        ]

    def _choice(self, chosen: Forecast) -> str:
        """What auto takes, and why the default is another mode."""
        name, usual = chosen.mode.name, default_precision(self.target)
        if len(self.forecasts) == 1:
            return f"Forecast within the limit: `{name}`."
        taken = f"`auto` takes `{name}`: the fastest mode within the limit, by rank."
        default = next(found for found in self.forecasts if found.mode.name == usual)
        if default is chosen:
            return taken
        state = "over the limit" if default.problem(self.limit) else "within the limit"
        return (
            f"{taken} The default of `build` is `{usual}`, {state}: ranks are not measured, and a "
            "default must suit models without a forecast. Mean error of depth: "
            f"`{name}` {_mean(chosen)}, `{usual}` {_mean(default)}."
        )

    def headline(self) -> str:
        """The chosen mode and its errors of depth. Raises PrecisionError if there is none."""
        chosen = self.choose()
        errors = figures(
            {name: (chosen.measured or {})[DEPTH][name] for name in _DEPTH_NUMBERS[:2]}
        )
        return (
            f"`{chosen.mode.name}`, forecast error of depth at {size_text(self.size)}: {errors} "
            f"(limits: {self.limit.max_rel:g}, {self.limit.mean_rel:g})"
        )

    def _other_limits(self) -> list[str]:
        limits = self.limit.of(self.forecasts[0].outputs)
        return [
            f"{output} " + ", ".join(f"{name} {value:g}" for name, value in by_name.items())
            for output, by_name in limits.items()
            if output != DEPTH
        ]


def document(reports: Sequence[PrecisionReport], command: str) -> str:
    made = f"Made by:\n\n```sh\n{command}\n```\n"
    return "\n".join([INTRODUCTION, made, *(report.markdown() for report in reports)])


def _table(forecasts: Sequence[Forecast], limit: Limit, chosen: Optional[Forecast]) -> list[str]:
    others = [output.name for output in forecasts[0].outputs if output.name != DEPTH]
    heading = ("mode", _RANK, "compiler arguments", *_DEPTH_NUMBERS, *others, "verdict", _SAME)
    groups: dict[tuple[str, ...], list[Forecast]] = {}  # by figures; the fastest first
    for forecast in sorted(forecasts, key=lambda one: (one.mode.speed_rank, one is not chosen)):
        row = (*_figures(forecast, others, limit), _verdict(forecast, limit))
        groups.setdefault(row, []).append(forecast)
    rows = [
        (
            *_asked(first.mode),
            *numbers,
            "**chosen**" if first is chosen else verdict,
            ", ".join(f"{same.mode.name} ({same.mode.speed_rank})" for same in others_alike),
        )
        for (*numbers, verdict), (first, *others_alike) in groups.items()
    ]
    return markdown(heading, rows, right=(1, *range(3, len(heading) - 2)))


def _asked(mode: Mode) -> tuple[str, ...]:
    arguments = (" ".join(mode.compiler_args), *mode.optimizations)
    return mode.name, str(mode.speed_rank), ", ".join(f"`{text}`" for text in arguments)


def _figures(forecast: Forecast, others: Sequence[str], limit: Limit) -> list[str]:
    measured = forecast.measured
    if measured is None:
        return ["-"] * (len(_DEPTH_NUMBERS) + len(others))
    depth = [measured[DEPTH][name] or 0 for name in _DEPTH_NUMBERS]
    cells = [*(f"{value:.2e}" for value in depth[:-1]), f"{depth[-1]:.4f}"]
    limits = limit.of(forecast.outputs)
    limited = ({key: measured[name][key] for key in limits[name]} for name in others)
    return [*cells, *map(figures, limited)]


def _mean(forecast: Forecast) -> str:
    measured = forecast.measured
    return "-" if measured is None else f"{measured[DEPTH]['mean_rel'] or 0:.2e}"


def _verdict(forecast: Forecast, limit: Limit) -> str:
    return forecast.overflow or ("over the limit" if forecast.problem(limit) else "within")
