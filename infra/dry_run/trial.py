"""One run of the pipeline, with or without a failure, and whether it went as it must."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Callable, Optional

from infra.dry_run.faults import BACK, Fault
from infra.dry_run.flow import DONE, FAILED, Ran, walk
from infra.dry_run.place import ALIAS, Place


@dataclass(frozen=True)
class Seen:
    """What a run did.

    fail        the state that had to fail; None for a good run
    before      identity in production before
    wanted      identity that has to be in production, and to answer, after the run
    allowed     identities that may answer during the run
    answers     number of answers by identity
    lost        requests without an answer 200
    """

    fail: Optional[str]
    ran: list[Ran]
    ended: str
    wanted: str
    allowed: frozenset[str]
    production: str
    answering: str
    answers: Counter[str]
    lost: list[str]

    def problems(self) -> list[str]:
        """What is not as it must be."""
        found = []
        failed = [ran.state for ran in self.ran if ran.problem]
        expected = [*(["Smoke"] if self.fail in BACK else []), *([self.fail] if self.fail else [])]
        if failed != expected:
            listed, wanted = (", ".join(each) or "no state" for each in (failed, expected))
            found.append(f"failed: {listed}; expected: {wanted}")
        ended = FAILED if self.fail else DONE
        if self.ended != ended:
            found.append(f"the last state is {self.ended}; expected {ended}")
        if self.production != self.wanted:
            found.append(f"production names {self.production[:12]}; expected {self.wanted[:12]}")
        if self.answering != self.wanted:
            found.append(f"{self.answering[:12]} answers; expected {self.wanted[:12]}")
        if self.lost:
            found.append(f"{len(self.lost)} requests were lost; the first: {self.lost[0]}")
        if not self.answers:
            found.append("nobody asked meanwhile")
        others = sorted(set(self.answers) - self.allowed)
        found.extend(f"{self.answers[other]} answers of {other[:12]}" for other in others)
        return found


def trial(
    place: Place, fail: Optional[str], run: str, size: str, say: Callable[[str], None]
) -> Seen:
    """Walk the states once; `fail` is the state that must fail."""
    before = place.identity(f"{ALIAS}/production")
    fault = Fault(place, fail or "", run)
    place.caller.forget()

    def act(state: str) -> None:
        say(f"{state} ...")
        with fault.around(state):
            if state.startswith("Deploy"):
                place.rollout.deploy()
            else:
                step = state.lower()
                place.job(step, run, size, fault.files(step))

    ran, ended = walk(act)
    new = place.identity(f"{ALIAS}/run-{run}") if fail != "Compile" else before
    return Seen(
        fail,
        ran,
        ended,
        wanted=before if fail else new,
        allowed=frozenset({before, *fault.others} | (set() if fail else {new})),
        production=place.identity(f"{ALIAS}/production"),
        answering=place.caller.now(),
        answers=place.caller.answers,
        lost=place.caller.lost,
    )
