"""One benchmark, start to end: the artifacts take turns in everything that is compared."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Callable, Optional

from depth.artifact.manifest import Artifact
from depth.artifact.verification import state
from depth.errors import InputError
from depth.sizes import Size, size_text
from serve.bench.cold import ColdStart, cold_start
from serve.bench.folder import folder_measure
from serve.bench.network import images_per_s, key_of, latencies_ms, noise, open_program
from serve.bench.report import Report, Result, Settings, describe_machine, now
from serve.bench.samples import Rounds
from serve.bench.turns import Step, take_turns
from serve.library import Library

Samples = Callable[[], list[float]]


@dataclass(frozen=True)
class Subject:
    """An artifact, and the size of the program that the network alone is measured with."""

    artifact: Artifact
    library: Library  # with that artifact only
    size: Size


def common_size(artifacts: Sequence[Artifact], wanted: Optional[Size] = None) -> Size:
    """`wanted`, or else the first size of the first artifact, that all have a program for.

    Raises InputError if there is none.
    """
    have = [[key.size for key in a.manifest.keys if key == key_of(a, key.size)] for a in artifacts]
    shared = [size for size in have[0] if all(size in sizes for sizes in have)]
    if not shared or (wanted and wanted not in shared):
        lists = "; ".join(
            f"{a.folder.name}: {', '.join(map(size_text, sizes)) or 'none'}"
            for a, sizes in zip(artifacts, have)
        )
        what = size_text(wanted) if wanted else "one size in every artifact"
        raise InputError(f"no program of batch 1 for {what}; there are {lists}")
    return wanted or shared[0]


def measure(subjects: Sequence[Subject], settings: Settings, on_step: Step) -> Report:
    """Measure everything. Raises what runtimes and the folder job raise."""
    machine = describe_machine()
    # New processes first: on a NeuronCore nobody else can have the cores once this one has them.
    cold = _cold_starts(subjects, settings, on_step)
    latency = _latency(subjects, settings, on_step)
    throughput = {
        streams: _throughput(subjects, settings, streams, on_step) for streams in settings.streams
    }
    folder = _folder(subjects, settings, on_step)
    results = [
        Result(
            artifact=one.artifact.folder.name,
            identity=one.artifact.identity,
            target=one.artifact.manifest.target,
            precision=one.artifact.manifest.precision,
            state=state(one.artifact),
            program=key_of(one.artifact, one.size).name,
            cold_starts=cold[i],
            latency_ms=latency[i],
            images_per_s={streams: rounds[i] for streams, rounds in throughput.items()},
            folder_s_per_image=folder[i],
        )
        for i, one in enumerate(subjects)
    ]
    return Report(now(), settings, machine, results)


def _cold_starts(
    subjects: Sequence[Subject], settings: Settings, on_step: Step
) -> list[list[ColdStart]]:
    starts = [partial(cold_start, one.artifact, one.size, settings.runs) for one in subjects]
    # The first one reads files from the disk that later ones find in memory.
    return take_turns(
        starts, settings.starts, min(1, settings.warm_up), _named("cold start", on_step)
    )


def _latency(subjects: Sequence[Subject], settings: Settings, on_step: Step) -> list[Rounds]:
    with ExitStack() as stack:
        measures: list[Samples] = []
        for one in subjects:
            runtime = stack.enter_context(open_program(one.artifact, one.size))
            arrays = noise(one.artifact, one.size)
            measures.append(partial(latencies_ms, runtime, arrays, settings.runs))
        return list(
            take_turns(measures, settings.rounds, settings.warm_up, _named("latency", on_step))
        )


def _throughput(
    subjects: Sequence[Subject], settings: Settings, streams: int, on_step: Step
) -> list[Rounds]:
    name, runs = f"throughput with {streams} at once", max(settings.runs, 2 * streams)
    with ExitStack() as stack:
        measures: list[Samples] = []
        for one in subjects:
            runtime = stack.enter_context(open_program(one.artifact, one.size, streams))
            arrays = noise(one.artifact, one.size)
            measures.append(partial(_single, partial(images_per_s, runtime, arrays, runs, streams)))
        return list(take_turns(measures, settings.rounds, settings.warm_up, _named(name, on_step)))


def _folder(subjects: Sequence[Subject], settings: Settings, on_step: Step) -> list[Rounds]:
    with ExitStack() as stack:
        measures: list[Samples] = []
        for one in subjects:
            measure = stack.enter_context(folder_measure(one.library, settings.images))
            measures.append(partial(_single, measure))
        rounds = take_turns(measures, settings.rounds, settings.warm_up, _named("folder", on_step))
        return list(rounds)


def _single(measure_one: Callable[[], float]) -> list[float]:
    return [measure_one()]


def _named(name: str, on_step: Step) -> Step:
    return lambda text: on_step(f"{name}, {text}")


def steps_of(settings: Settings) -> int:
    """How often `measure` calls `on_step`."""
    rounds = settings.rounds + settings.warm_up
    starts = settings.starts + min(1, settings.warm_up)
    return starts + rounds * (2 + len(settings.streams))
