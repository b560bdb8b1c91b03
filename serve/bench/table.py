"""A benchmark for people: one column per artifact, and how they compare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Callable

from depth.console import aligned
from serve.bench.report import Report, Result
from serve.bench.samples import PERCENTILES, Rounds, percentiles, ratio


@dataclass(frozen=True)
class Row:
    """Samples of each artifact, and how a number is said of them."""

    name: str
    samples: Callable[[Result], Rounds]
    digits: int = 2


def text(report: Report) -> str:
    """Several lines."""
    machine = report.machine
    lines = [
        f"machine   {machine.cpu.model}, {machine.cpu.cores} cores "
        f"({', '.join(machine.cpu.features) or 'no AVX2'}), "
        f"{machine.memory.total_bytes / 2**30:.0f} GiB",
        f"load      {machine.load[0]:.1f} when it began; 0 is an idle machine",
        f"versions  {', '.join(f'{name} {text}' for name, text in machine.versions.items())}",
        f"samples   {_settings(report)}",
        "",
        *aligned(list(_rows(report.results))),
    ]
    return "\n".join(lines)


def _settings(report: Report) -> str:
    s = report.settings
    return (
        f"medians of {s.rounds} rounds in turns after {s.warm_up} of warm-up, {s.runs} runs of the "
        f"network in each; {s.starts} cold starts; folder {s.images}"
    )


def _rows(results: Sequence[Result]) -> Iterator[list[str]]:
    pair = len(results) == 2
    yield ["", *(result.artifact for result in results), *(["second / first"] if pair else [])]
    blank = [""] if pair else []
    yield ["program", *(result.program for result in results), *blank]
    yield ["numbers", *(result.state for result in results), *blank]
    for row in (*_COLD, *_throughput(results[0]), *_FOLDER):
        yield [row.name, *(_median(row, result) for result in results), *_ratio(row, results)]
        if row is _COLD[-1]:
            yield from _latency(results)


_COLD = (
    Row("cold start to first result, s", lambda r: [[c.first_result_s] for c in r.cold_starts]),
    Row("  of it loading the program, s", lambda r: [[c.parts.load_s] for c in r.cold_starts]),
    Row("  of it the first run, s", lambda r: [[c.parts.first_run_s] for c in r.cold_starts]),
    Row(
        "peak memory of that process, MB",
        lambda r: [[c.peak_memory_bytes / 1e6] for c in r.cold_starts],
        0,
    ),
)
_FOLDER = (Row("folder to depth files, s per image", lambda r: r.folder_s_per_image, 3),)
_LATENCY = Row("", lambda r: r.latency_ms, 1)


def _latency(results: Sequence[Result]) -> Iterator[list[str]]:
    values = [percentiles(result.latency_ms) for result in results]
    for index, percent in enumerate(PERCENTILES):
        compared = _ratio(_LATENCY, results) if percent == 50 else [""] * (len(results) == 2)
        yield [
            f"network latency p{percent}, ms",
            *(f"{found[index]:.1f}" for found in values),
            *compared,
        ]


def _throughput(result: Result) -> Iterator[Row]:
    for streams in result.images_per_s:
        yield Row(f"network, images/s, {streams} at once", _images_per_s(streams))


def _images_per_s(streams: int) -> Callable[[Result], Rounds]:
    return lambda result: result.images_per_s[streams]


def _median(row: Row, result: Result) -> str:
    return f"{median(value for each in row.samples(result) for value in each):.{row.digits}f}"


def _ratio(row: Row, results: Sequence[Result]) -> list[str]:
    if len(results) != 2:
        return []
    first, second = map(row.samples, results)
    return [str(ratio(second, first))]
