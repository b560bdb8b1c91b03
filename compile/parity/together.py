"""The programs of a model of scenes at one size, measured in all their combinations.

A program of a batch runs with the programs of each number of views, and the reverse.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Optional, Union

from compile.parity.inputs import Picture, parity_inputs
from compile.parity.measure import InputErrors
from compile.parity.scenes import Link, SavedStages, measure_scenes, parity_scenes, references
from compile.targets.protocols import Compiled
from depth.artifact.program import Program, ProgramKey
from depth.artifact.steps import Normalise
from depth.family import Output
from depth.network.base import Network
from depth.sizes import Size
from depth.steps.stages import RAYS

Errors = dict[tuple[int, int], list[InputErrors]]  # of every scene, by batch and number of views


@dataclass(frozen=True)
class Member:
    """One loaded program."""

    stage: str
    of_scenes: bool  # whether it knows all views of a scene; else it has a batch
    batch: int
    views: int
    link: Link

    @staticmethod
    def of(program: Union[Compiled, Program], link: Link) -> Member:
        if isinstance(program, Compiled):
            stage = program.stage
            return Member(stage.name, stage.of_scenes, program.batch, program.views, link)
        return Member(program.stage, program.of_scenes, program.batch, program.views, link)

    def key(self, size: Size) -> ProgramKey:
        return ProgramKey(*size, self.batch, self.views, self.stage)


def measure_together(
    network: Network,
    members: Sequence[Member],
    outputs: Sequence[Output],
    photographs: Sequence[Picture],
    normalise: Optional[Normalise],
) -> Errors:
    """The errors at the network's size. Raises ParityError if they are not finite numbers."""
    size, rays = network.fixed_size, any(member.stage == RAYS for member in members)
    inputs = parity_inputs(network.model, size, photographs)
    found: Errors = {}
    for views in dict.fromkeys(member.views for member in members if member.of_scenes):
        expected = references(network, parity_scenes(inputs, views, size), rays)
        for batch in dict.fromkeys(member.batch for member in members if not member.of_scenes):
            links = {
                (member.stage, member.views): member.link
                for member in members
                if (member.views == views if member.of_scenes else member.batch == batch)
            }
            stages = SavedStages(size, links, batch, normalise)
            found[batch, views] = measure_scenes(outputs, stages, expected, rays)
    return found


def together(
    members: Sequence[Member], errors: Errors
) -> Iterator[tuple[list[int], list[InputErrors]]]:
    """The places of the members of each number of views and of each batch, and their errors."""
    numbered = list(enumerate(members))
    for views in dict.fromkeys(member.views for member in members if member.of_scenes):
        own = [i for i, member in numbered if member.of_scenes and member.views == views]
        yield own, [each for key, found in errors.items() if key[1] == views for each in found]
    for batch in dict.fromkeys(member.batch for member in members if not member.of_scenes):
        own = [i for i, member in numbered if not member.of_scenes and member.batch == batch]
        yield own, [each for key, found in errors.items() if key[0] == batch for each in found]
