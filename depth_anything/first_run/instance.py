"""What is tried on the instance, with what the compile host has pushed.

Numbers come before speed, and faults that could leave a chip unusable come last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from depth.artifact.verification import VERIFIED_FILE
from depth.chips import INFERENTIA
from depth_anything.first_run.compile_host import (
    APART,
    DEMO,
    EXPERIMENTS,
    FUSED,
    MODEL,
    TRANSFERS,
    transfer_folder,
    weights_trials,
)
from depth_anything.first_run.drills import DRILLS
from depth_anything.first_run.extent import Extent
from depth_anything.first_run.places import Places
from depth_anything.first_run.reading import BENCH
from depth_anything.first_run.trial import FOLDER, Trial, Words

CORES = "NEURON_RT_NUM_CORES"
EVERY_CORE, SOAK = "every-core", "soak"


def parity_name(built: str) -> str:
    return f"parity-{built}"


def bench_name(built: str) -> str:
    return f"bench-{built}"


def cores_name(cores: int) -> str:
    return f"cores-{cores}"


def main_artifact(built: Mapping[str, str]) -> str:
    """The name of the trial whose artifact everything is measured with: one program if there is."""
    of_model = [name for name in built if name.startswith(MODEL)]
    return next((name for name in (FUSED, APART, *of_model) if name in built), DEMO)


def serve_trials(extent: Extent, places: Places, built: Mapping[str, str]) -> Iterator[Trial]:
    """Every trial of the instance, in order.

    built  trial of the compile host -> name of its artifact
    """
    limit_s = extent.other_limit_s
    yield Trial("facts", "the machine", limit_s, (("-m", f"{EXPERIMENTS}.facts"),))
    doctor = ("-m", "serve", "doctor", "--json", "--artifacts", str(places.artifacts))
    yield Trial("doctor", "driver, tools, cores and packages", limit_s, (doctor,))
    for name, artifact in built.items():
        pull = ("-m", "compile", "pull", artifact, "--store", places.store)
        command = (*pull, "--out", str(places.artifacts))
        yield Trial(f"pull-{name}", f"{artifact} out of the store", limit_s, (command,))
    yield from _transfers(extent, places)
    yield from weights_trials(extent, places)  # parity compares with the network itself
    for name, artifact in built.items():
        yield _parity(name, places.artifacts / artifact, extent, places)
    for name, artifact in built.items():
        yield _bench(bench_name(name), places.artifacts / artifact, 1, extent, places)
    if built:
        yield from _on_all_cores(places.artifacts / built[main_artifact(built)], extent, places)
    yield from _drills(extent, places, built)


def _transfers(extent: Extent, places: Places) -> Iterator[Trial]:
    for dtype in TRANSFERS:
        program = transfer_folder(places.results) / f"{dtype}.pt"
        words = ("measure", str(program), dtype, extent.transfer_size, str(extent.runs))
        command = ("-m", f"{EXPERIMENTS}.transfer", *words)
        about = f"time to hand over an image in {dtype}"
        yield Trial(f"transfer-{dtype}", about, extent.other_limit_s, (command,), {CORES: "1"})


def _parity(name: str, artifact: Path, extent: Extent, places: Places) -> Trial:
    measure: Words = ("-m", "compile", "parity", str(artifact), "--on-device")
    measure += ("--images", str(places.images))
    if places.checkpoint and name != DEMO and places.checkpoint != "untrained":
        measure += ("--checkpoint", places.checkpoint)
    push = ("-m", "compile", "push", str(artifact), "--store", places.store)
    about = f"numbers of {name}, against the network in float32"
    return Trial(
        parity_name(name),
        about,
        extent.other_limit_s,
        (measure, push),
        keep=(str(artifact / VERIFIED_FILE),),
    )


def _bench(name: str, artifact: Path, cores: int, extent: Extent, places: Places) -> Trial:
    """Throughput with one and with two runs in flight on each core."""
    words: Words = ("-m", "serve", "bench", str(artifact), "--images", str(places.images))
    words += ("--rounds", str(extent.rounds), "--warm-up", str(extent.warm_up))
    words += ("--runs", str(extent.runs), "--starts", "1")
    words += ("--streams", str(cores), "--streams", str(2 * cores))
    words += ("--allow-unverified", "--allow-failed-parity")
    words += ("--json", f"{FOLDER}/{BENCH}")
    plural = "s" if cores > 1 else ""
    about = f"{artifact.name} on {cores} core{plural}, one and two runs in flight on each"
    return Trial(name, about, extent.other_limit_s, (words,), {CORES: str(cores)}, monitored=True)


def _on_all_cores(artifact: Path, extent: Extent, places: Places) -> Iterator[Trial]:
    limit_s = extent.other_limit_s
    check = ("-m", f"{EXPERIMENTS}.every_core", str(artifact))
    yield Trial(EVERY_CORE, "the fixed probe on each core", limit_s, (check,))
    for cores in range(1, INFERENTIA.cores + 1):
        yield _bench(cores_name(cores), artifact, cores, extent, places)
    soak = ("-m", f"{EXPERIMENTS}.soak", str(artifact), str(extent.soak_s))
    about = f"{extent.soak_s} s on all cores: rate, memory, and the same bits each time"
    yield Trial(SOAK, about, extent.soak_s + limit_s, (soak,), monitored=True)


def _drills(extent: Extent, places: Places, built: Mapping[str, str]) -> Iterator[Trial]:
    if DEMO not in built:
        return
    artifact = places.artifacts / built[DEMO]
    for drill in DRILLS.values():
        words = (str(artifact), drill.name, "--copies", str(extent.copies))
        command = ("-m", f"{EXPERIMENTS}.drill", *words)
        about = f"fault drill: {drill.about}"
        yield Trial(f"drill-{drill.name}", about, extent.other_limit_s, (command,))
