"""A compile job from start to end: fetch, preflight, precision, build, push."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

from compile.build.package import is_whole, provenance_versions
from compile.errors import JobError
from compile.job import fastest, steps
from compile.job.ledger import Entry, Ledger, inputs_hash, ledger_in
from compile.job.report import REPORT, Failure, Made, Section, write_report
from compile.job.spec import JobSpec
from compile.job.steps import Done, Say
from compile.targets.table import (
    AUTO,
    builder,
    default_precision,
    ready,
    target_named,
)
from depth.artifact.manifest import read_artifact
from depth.artifact.verification import state
from depth.family import UNTRAINED, model_named
from depth.files import sha256_file

STEPS = ("fetch", "preflight", "precision", "build", "push")


@dataclass(frozen=True)
class Outcome:
    artifact: Path
    report: Path


@dataclass
class Job:
    """One run. Steps that a former run has finished from the same inputs are taken over."""

    spec: JobSpec
    ledger: Ledger
    say: Say

    def __post_init__(self) -> None:
        self.sections: list[Section] = []
        self.made: Optional[Made] = None
        target = target_named(self.spec.target)
        precision = self.spec.precision
        made_with = default_precision(target.name) if precision == AUTO else precision
        family = model_named(self.spec.model).family
        versions = {
            **provenance_versions(target.name, made_with, family),  # with a hash of our own code
            **builder(target).versions(),
            **fastest.machine_facts(self.spec),
        }
        self._versions = json.dumps(versions, sort_keys=True)

    def run(self) -> Path:
        """Every step in order; returns the artifact's folder. Raises what the steps raise."""
        spec = self.spec
        weights = self._fetched()
        asked = None if spec.precision == AUTO else spec.precision
        self._step("preflight", (), lambda: steps.check_operators(spec, asked, self.say))
        given = (_hash_of(weights), steps.photographs_hash(spec))
        precision = self._step(
            "precision", given, lambda: steps.choose_precision(spec, weights, self.say)
        )
        out = Path(spec.out)
        name = self._step(
            "build",
            (*given, precision),
            lambda: steps.build_artifact(spec, weights, precision, self.say),
            still_good=lambda result: (
                is_whole(out / result) and fastest.is_still_chosen(spec, out / result)
            ),
        )
        artifact = read_artifact(out / name)
        self.made = Made(artifact, state(artifact))
        # Asked again every time: the store knows best what it has, and nothing is sent twice.
        self._done("push", _timed(lambda: steps.push_artifact(spec, artifact)))
        return artifact.folder

    def report(self, problem: Optional[Exception] = None) -> Path:
        """Write what is done so far, and what ended the step after it. Raises JobError."""
        failure = Failure(STEPS[len(self.sections)], problem) if problem else None
        return write_report(self.ledger.folder, self.spec, self.sections, self.made, failure)

    def _fetched(self) -> str:
        self.say("fetch the weights")
        # What is there is not fetched again.
        return self._done("fetch", _timed(lambda: steps.fetch_weights(self.spec, self.say)))

    def _step(
        self,
        name: str,
        inputs: Sequence[str],
        work: Callable[[], Done],
        still_good: Callable[[str], bool] = lambda _: True,
    ) -> str:
        digest = inputs_hash(self.spec.digest(), self._versions, *inputs)
        entry = self.ledger.get(name, digest)
        if entry is not None and still_good(entry.result):
            self.say(f"{name}: done before")
            return self._done(name, entry, before=True)
        self.say(name)
        entry = _timed(work, digest)
        self.ledger.put(name, entry)
        return self._done(name, entry)

    def _done(self, name: str, entry: Entry, before: bool = False) -> str:
        self.sections.append(Section(name, entry, before))
        return entry.result


def run_job(spec: JobSpec, say: Say) -> Outcome:
    """Run a job, or what is left of it; once it has begun, the report is written in any case.

    Raises JobError if another process runs it, and what the steps raise.
    """
    asked = None if spec.precision == AUTO else spec.precision
    ready(target_named(spec.target, asked), asked)
    folder = job_folder(spec)
    with ledger_in(folder) as ledger:
        steps.passes_of(spec)
        steps.check_store(spec)
        job = Job(spec, ledger, say)
        (folder / REPORT).unlink(missing_ok=True)  # a killed run leaves none that says "done"
        try:
            artifact = job.run()
        except Exception as error:
            job.report(error)
            raise
        except (KeyboardInterrupt, SystemExit):  # SIGTERM is the latter
            job.report(JobError("interrupted; run it again, and it goes on"))
            raise
        return Outcome(artifact, job.report())


def job_folder(spec: JobSpec) -> Path:
    """Where a job keeps its steps and its report."""
    return Path(spec.out) / "jobs" / f"{spec.model}-{spec.target}-{spec.digest()[:12]}"


def _timed(work: Callable[[], Done], inputs: str = "") -> Entry:
    started = time.perf_counter()
    done = work()
    duration_s = round(time.perf_counter() - started, 3)
    return Entry(inputs, done.result, done.section, done.headline, duration_s)


def _hash_of(weights: str) -> str:
    return weights if weights == UNTRAINED else sha256_file(Path(weights))
