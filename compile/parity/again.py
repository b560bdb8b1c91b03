"""The parity gate again, for an artifact that is already written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

from compile.errors import TargetError
from compile.parity.measure import ProbeResult, chained, failure, measure, stem_name, worst
from compile.parity.probes import Picture, probes
from compile.specialise import specialise
from compile.targets.protocols import Limit
from compile.targets.table import builder, target_named
from compile.weights import CHECKPOINTS, read_again
from depth.artifact.manifest import Artifact, Manifest, ParityNumbers, Program
from depth_anything_v2.config import model_named


@dataclass(frozen=True)
class Measured:
    """Programs that are run one after the other, and what came out."""

    programs: tuple[Program, ...]
    results: Sequence[ProbeResult]
    problem: Optional[str]  # what is over the limit

    @property
    def name(self) -> str:
        return stem_name(self.programs[0].size, self.programs[0].batch)

    @property
    def numbers(self) -> ParityNumbers:
        return worst(self.results)


@dataclass(frozen=True)
class Reparity:
    measured: Sequence[Measured]

    @property
    def problems(self) -> list[str]:
        return [f"{one.name}: {one.problem}" for one in self.measured if one.problem]

    def table(self) -> str:
        """One line per program and test image."""
        return "\n".join(
            f"{one.name}  {r.probe:<16} max_rel {r.numbers.max_rel:.2e}  "
            f"mean_rel {r.numbers.mean_rel:.2e}  abs_rel {r.numbers.abs_rel:.2e}  "
            f"delta1 {r.numbers.delta1:.4f}"
            for one in self.measured
            for r in one.results
        )


def check_where(artifact: Artifact, on_device: bool) -> None:
    """Raises TargetError if the programs cannot be measured, or not kept, where this runs."""
    m = artifact.manifest
    target = target_named(m.target, m.precision)
    if on_device and not target.device:
        raise TargetError(
            f"{artifact.folder}: programs of {m.target} were measured when they were built; leave "
            "--on-device out to measure them again"
        )
    if target.device and not on_device:
        raise TargetError(
            f"{artifact.folder}: programs of {m.target} give wrong numbers anywhere but on their "
            "device; run this there, with --on-device"
        )


def reparity(
    artifact: Artifact,
    checkpoint: Optional[Path],
    photographs: Sequence[Picture],
    on_step: Callable[[str], None],
) -> Reparity:
    """Measure every program against the eager network.

    Raises CheckpointError if the weights are not the ones it was made from, BuildError or
    ParityError if a program cannot be run.
    """
    m = artifact.manifest
    file, folder = (
        (checkpoint.name, checkpoint.parent) if checkpoint else (m.checkpoint.file, CHECKPOINTS)
    )
    weights = read_again(m.model, file, m.checkpoint.sha256, folder)
    maker = builder(target_named(m.target, m.precision))
    network = specialise(model_named(m.model), weights, m.programs[0].size)
    limit = Limit(m.parity_limit.max_rel, m.parity_limit.mean_rel)
    found = []
    for programs in _chains(m):
        size, batch = programs[0].size, programs[0].batch
        on_step(f"{stem_name(size, batch)}: parity")
        network.fix_size(*size)
        files = [[artifact.folder / f.path for f in program.files] for program in programs]
        runs = [maker.load(paths, m.precision) for paths in files]
        run = chained(runs, m.preprocess.folded)
        results = measure(network, run, probes(size, photographs), batch)
        found.append(Measured(programs, results, failure(worst(results), limit)))
    return Reparity(found)


def _chains(manifest: Manifest) -> list[tuple[Program, ...]]:
    shapes = dict.fromkeys((program.size, program.batch) for program in manifest.programs)
    return [manifest.stages(size, batch) for size, batch in shapes]
