"""The fault drills: what is provoked, and what the scheduler should do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from serve.errors import Action


@dataclass(frozen=True)
class Drill:
    name: str
    about: str
    # What the text of the runtime may be understood as; (): no failure is expected.
    expected: tuple[Action, ...]
    advice: str  # for an operator who meets this text
    # What serving does where the text says nothing that is known, as it does for any failed load.
    otherwise: Optional[Action] = None


DRILLS: dict[str, Drill] = {
    drill.name: drill
    for drill in (
        Drill(
            "wrong-shape",
            "an image of another size",
            (Action.REQUEST_FAULT, Action.ARTIFACT_FAULT),
            "a program takes one shape only",
        ),
        Drill(
            "no-such-core",
            "a core that the chip does not have",
            (Action.REPLACE,),
            "check NEURON_RT_NUM_CORES, NEURON_RT_VISIBLE_CORES and other processes",
        ),
        Drill(
            "not-imported",
            "a program that is loaded before the SDK is imported",
            (Action.ARTIFACT_FAULT, Action.REPLACE),
            "import the SDK first",
            Action.ARTIFACT_FAULT,
        ),
        Drill(
            "damaged-program",
            "a program with other bytes than it was compiled with",
            (Action.ARTIFACT_FAULT,),
            "compile the artifact again",
            Action.ARTIFACT_FAULT,
        ),
        Drill(
            "memory-full",
            "copies of a program until a core takes no more",
            (Action.UNLOAD,),
            "memory ran out: load fewer programs",
        ),
        Drill(
            "cores-taken",
            "a second process that wants the cores of the first",
            (Action.REPLACE,),
            "another process has the cores: stop it",
        ),
        Drill(
            "forked",
            "a run in a process that was forked from the owner of the cores",
            (Action.RECYCLE,),
            "the process was forked from one that uses the runtime: use spawn",
        ),
        Drill(
            "killed-owner",
            "the cores of a process that was killed",
            (),
            "reload the driver: sudo rmmod neuron; sudo modprobe neuron",
        ),
    )
}
