"""The parity gate again, for an artifact that is already written."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Optional

import numpy as np

from compile.errors import ParityError, TargetError
from compile.parity.chain import chained
from compile.parity.inputs import Picture, parity_inputs
from compile.parity.measure import (
    InputErrors,
    Measured,
    failure,
    figures,
    limits_text,
    measure,
    worst,
)
from compile.parity.together import Member, measure_together, together
from compile.specialise import specialise
from compile.targets.protocols import Builder, Limits, Ports, Run
from compile.targets.table import builder, target_named
from compile.weights import read_again
from depth.artifact.manifest import Artifact, Manifest
from depth.artifact.probe import Answer, answers, probe_inputs
from depth.artifact.program import Program, ProgramKey
from depth.artifact.steps import Do, Normalise
from depth.family import Output, model_named
from depth.network.base import Network
from depth.neuron_runtime import limit_runs
from depth.sizes import size_text
from depth.weights.registry import CHECKPOINTS


@dataclass(frozen=True)
class ChainParity:
    """Programs that run one after the other, and what came out."""

    key: ProgramKey
    programs: tuple[Program, ...]
    results: Sequence[InputErrors]
    problem: Optional[str]  # what is over the limit
    # By program and output, to the fixed probe; only where it was asked for.
    answers: Mapping[str, Mapping[str, Answer]] = field(default_factory=dict)

    @property
    def measured(self) -> Measured:
        """The worst figures; {} if a program gave numbers that are not finite."""
        return worst(self.results) if self.results else {}


@dataclass(frozen=True)
class Reparity:
    chains: Sequence[ChainParity]
    limits: Limits

    @property
    def problems(self) -> list[str]:
        return [f"{chain.key.name}: {chain.problem}" for chain in self.chains if chain.problem]

    def table(self) -> str:
        """One line per chain, test image and output, and the verdict."""
        lines = [
            f"{chain.key.name}  {result.probe:<16} {output:<10} " + figures(numbers)
            for chain in self.chains
            for result in chain.results
            for output, numbers in result.measured.items()
        ]
        over = len(self.problems)
        verdict = (
            f"failed: {over} of {len(self.chains)} programs over the limit"
            if over
            else "passed: every program is within the limit"
        )
        return "\n".join([*lines, f"{verdict} ({limits_text(self.limits)})"])


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
            f"{artifact.folder}: programs of {m.target} load on their device only; run this "
            "there, with --on-device"
        )


def reparity(
    artifact: Artifact,
    checkpoint: Optional[Path],
    photographs: Sequence[Picture],
    on_step: Callable[[str], None],
    probe: bool = False,
) -> Reparity:
    """Measure every program against the eager network; with `probe` keep its answers to the probe.

    Raises CheckpointError if the weights are not the ones it was made from, BuildError if a program
    cannot be run, and ParityError if depth is flat on every test image.
    """
    m = artifact.manifest
    file, folder = (
        (checkpoint.name, checkpoint.parent) if checkpoint else (m.checkpoint.file, CHECKPOINTS)
    )
    weights = read_again(m.model, file, m.checkpoint.sha256, folder)
    target = target_named(m.target, m.precision)
    if target.device:
        limit_runs(os.environ)
    maker = builder(target)
    model = model_named(m.model)
    network = specialise(model, weights, m.programs[0].size)
    load = _Loader(artifact, maker)
    if model.takes_scenes:
        chains = _scene_chains(load, network, photographs, on_step, probe)
    else:
        chains = _image_chains(load, network, photographs, on_step, probe)
    return Reparity(list(chains), m.gate.limits)


@dataclass(frozen=True)
class _Loader:
    artifact: Artifact
    maker: Builder

    @property
    def manifest(self) -> Manifest:
        return self.artifact.manifest

    def __call__(self, program: Program) -> tuple[Ports, Run]:
        paths, ports = [self.artifact.folder / f.path for f in program.files], Ports.of(program)
        return ports, self.maker.load(paths, ports, self.manifest.precision)


def _image_chains(
    load: _Loader,
    network: Network,
    photographs: Sequence[Picture],
    on_step: Callable[[str], None],
    probe: bool,
) -> Iterator[ChainParity]:
    m, model = load.manifest, network.model
    for key in m.keys:
        programs = m.stages(key)
        on_step(f"{key.name}: parity")
        network.fix_size(*key.size)
        links = [load(program) for program in programs]
        run = chained(links, _folded(m, model.before))
        images = parity_inputs(model, key.size, photographs)
        try:
            results = measure(network, run, images, key.batch)
            kept = _answers(m, programs, links) if probe else {}
        except ParityError as error:  # no figures: a failure that is kept as one
            yield ChainParity(key, programs, [], str(error))
            continue
        yield ChainParity(key, programs, results, failure(worst(results), m.gate.limits), kept)


def _scene_chains(
    load: _Loader,
    network: Network,
    photographs: Sequence[Picture],
    on_step: Callable[[str], None],
    probe: bool,
) -> Iterator[ChainParity]:
    m = load.manifest
    outputs = [Output(o.name, o.kind, o.axes) for o in m.outputs]
    for size in dict.fromkeys(program.size for program in m.programs):
        on_step(f"{size_text(size)}: parity of scenes")
        network.fix_size(*size)
        programs = [program for program in m.programs if program.size == size]
        members = [Member.of(program, load(program)) for program in programs]
        folded, problem, errors = _folded(m, network.model.before), "", {}
        try:
            errors = measure_together(network, members, outputs, photographs, folded)
        except ParityError as error:  # no figures: a failure that is kept as one
            problem = str(error)
        for places, results in together(members, errors):
            key, own = members[places[0]].key(size), tuple(programs[i] for i in places)
            kept: dict[str, Mapping[str, Answer]] = {}
            try:
                kept = _answers(m, own, [members[i].link for i in places]) if probe else {}
            except ParityError as error:
                problem = problem or str(error)
            if problem:
                yield ChainParity(key, own, [], problem)
            else:
                over = failure(worst(results), m.gate.limits)
                yield ChainParity(key, own, results, over, kept)


def _folded(manifest: Manifest, before: Sequence[object]) -> Optional[Normalise]:
    """The normalisation that the programs do themselves: the manifest does not list it."""
    listed = [step.step for step in manifest.steps if isinstance(step, Do)]
    own = [step for step in before if isinstance(step, Normalise) and step not in listed]
    return own[0] if own else None


def _answers(
    manifest: Manifest, programs: Sequence[Program], links: Sequence[tuple[Ports, Run]]
) -> dict[str, Mapping[str, Answer]]:
    """Raises ParityError for an answer that is not finite."""
    kept: dict[str, Mapping[str, Answer]] = {}
    for program, (_, run) in zip(programs, links):
        outputs = run(probe_inputs(manifest, program))
        if not all(np.isfinite(array).all() for array in outputs.values()):
            raise ParityError(f"{program.name} answers the probe with numbers that are not finite")
        kept[program.name] = answers(outputs)
    return kept
