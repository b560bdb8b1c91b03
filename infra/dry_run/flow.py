"""Walks the states of infra/pipeline/steps.json as the state machine does."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

CODE = Path(__file__).resolve().parents[2]
STEPS: dict[str, Any] = json.loads((CODE / "infra/pipeline/steps.json").read_text())
DONE, FAILED = "Done", "Failed"


class StateError(Exception):
    """A state failed; the text is its reason."""


@dataclass(frozen=True)
class Ran:
    """A state that was run once: its seconds, and why it failed, or ''."""

    state: str
    seconds: float
    problem: str


def walk(act: Callable[[str], None]) -> tuple[list[Ran], str]:
    """Run state after state by `act`, which raises StateError; the last item is Done or Failed."""
    state, ran = STEPS["start"], []
    while state not in (DONE, FAILED):
        began, problem = time.monotonic(), ""
        try:
            act(state)
        except StateError as error:
            problem = str(error) or "no reason was given"
        ran.append(Ran(state, time.monotonic() - began, problem))
        tries = [each.state for each in ran].count(state)
        if problem and tries < STEPS["attempts"].get(state, 1):
            continue
        after, failed = STEPS["flow"][state]
        state = failed if problem else after
    return ran, state
