"""The parity gate again, for an artifact that is already written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Callable, Optional

from compile.parity import failure, measure, worst
from compile.probes import Picture, probes
from compile.specialise import specialise
from compile.targets import Limit, builder, target_named
from compile.weights import CHECKPOINTS, read_again
from depth_anything_v2.artifact import Artifact
from depth_anything_v2.config import model_named


def reparity(
    artifact: Artifact,
    checkpoint: Optional[Path],
    photographs: Sequence[Picture],
    on_step: Callable[[str], None],
) -> tuple[str, list[str]]:
    """Measure every program against the eager network: a table, and what is over the limit.

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
    rows, problems = [], []
    for program in m.programs:
        name = program.name
        on_step(f"{name}: parity")
        network.fix_size(*program.size)
        run = maker.load([artifact.folder / f.path for f in program.files], m.precision)
        results = measure(network, run, probes(program.size, photographs), program.batch)
        problem = failure(worst(results), limit)
        if problem:
            problems.append(f"{name}: {problem}")
        rows += [
            f"{name}  {r.probe:<16} max_rel {r.numbers.max_rel:.2e}  "
            f"mean_rel {r.numbers.mean_rel:.2e}  abs_rel {r.numbers.abs_rel:.2e}  "
            f"delta1 {r.numbers.delta1:.4f}"
            for r in results
        ]
    return "\n".join(rows), problems
