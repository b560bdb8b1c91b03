"""Compile-then-deploy on one machine, with the commands of infra/pipeline/steps.json.

    python -m infra.dry_run [--fail STATE]... [--keep FOLDER]

A CPU target, a local S3 server that enforces the roles' policies, and the real service behind a
front address that is asked all the time. Each --fail makes a state fail for real: afterwards the
artifact before must answer. Prints a table. Exit code 1 if anything was not as it must be.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, Optional

from infra.dry_run.faults import FaultError
from infra.dry_run.flow import STEPS, StateError
from infra.dry_run.place import Place
from infra.dry_run.trial import Seen, trial

SIZES = ("126x168", "140x196")  # in production before, and new
ALL = "all"
STATES = {state.lower(): state for state in STEPS["flow"]}


def main() -> int:
    options = _options()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupted)
    try:
        with _folder(options.keep) as folder:
            return _run(folder, _fails(options.fail))
    except (StateError, FaultError) as error:
        _say(f"stopped: {error}")
        return 1
    except KeyboardInterrupt:
        _say("interrupted; every process was ended")
        return 130


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m infra.dry_run", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--fail",
        action="append",
        default=[],
        choices=[*STATES, ALL],
        help="state that must fail; repeat it for a run each. all: every state, then a good run",
    )
    parser.add_argument("--keep", type=Path, help="new folder that keeps what every job wrote")
    return parser.parse_args()


def _fails(given: list[str]) -> list[Optional[str]]:
    """The runs: by each the state that must fail, or None for a good run."""
    if ALL in given:
        return [*STATES.values(), None]
    return [STATES[state] for state in given] or [None]


def _run(folder: Path, fails: list[Optional[str]]) -> int:
    began, good = time.monotonic(), True
    _say("start: a store, and an artifact in production ...")
    with Place(folder) as place:
        place.begin(SIZES[0])
        sys.stdout.write(f"start: {time.monotonic() - began:.1f} s\n")
        for number, fail in enumerate(fails, 1):
            seen = trial(place, fail, str(number), SIZES[1], _say)
            sys.stdout.write(_table(seen))
            sys.stdout.flush()
            good = good and not seen.problems()
    sys.stdout.write(f"all: {time.monotonic() - began:.1f} s\n")
    return int(not good)


def _table(seen: Seen) -> str:
    lines = ["", f"run where {seen.fail} must fail" if seen.fail else "good run"]
    for ran in seen.ran:
        lines.append(f"  {ran.state:<12} {ran.seconds:6.1f} s  {ran.problem or 'ok'}")
    counted = ", ".join(f"{count} of {name[:12]}" for name, count in seen.answers.items())
    lines.append(f"  {seen.ended}; answers meanwhile: {counted}; {len(seen.lost)} lost")
    lines.append(f"  {seen.answering[:12]} answers at the front address")
    lines += [f"  WRONG: {problem}" for problem in seen.problems()] or ["  as it must be"]
    return "\n".join(lines) + "\n"


@contextmanager
def _folder(keep: Optional[Path]) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="depth-dry-run-") as folder:
            yield Path(folder)
    else:
        keep.mkdir(parents=True)
        yield keep.resolve()


def _interrupted(*_: object) -> NoReturn:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # what ends the processes is not to be interrupted
    raise KeyboardInterrupt


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
