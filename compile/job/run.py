"""A compile job from start to end: fetch, preflight, precision, build, push."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

from compile.job import steps
from compile.job.ledger import Entry, Ledger, inputs_hash, ledger_in
from compile.job.report import Section, write_report
from compile.job.spec import AUTO, JobSpec
from compile.job.steps import Done, Say
from compile.package import is_whole, source_sha256
from compile.targets import ready, target_named
from depth_anything_v2.config import UNTRAINED
from depth_anything_v2.digest import sha256_file

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
        self._code = source_sha256()

    def run(self) -> Path:
        """Every step in order; returns the artifact's folder. Raises what the steps raise."""
        spec = self.spec
        weights = self._fetched()
        asked = None if spec.precision == AUTO else spec.precision
        self._step("preflight", (), lambda: steps.check_operators(spec, asked, self.say))
        given = (_hash_of(weights),)
        precision = self._step(
            "precision", given, lambda: steps.choose_precision(spec, weights, self.say)
        )
        folder = self._step(
            "build",
            (*given, precision),
            lambda: steps.build_artifact(spec, weights, precision, self.say),
            still_good=lambda result: is_whole(Path(result)),
        )
        # Asked again every time: the store knows best what it has, and nothing is sent twice.
        self._done("push", steps.push_artifact(spec, folder), 0.0, False)
        return Path(folder)

    def _fetched(self) -> str:
        self.say("fetch the weights")
        started = time.perf_counter()
        done = steps.fetch_weights(self.spec, self.say)  # what is there is not fetched again
        self._done("fetch", done, time.perf_counter() - started, False)
        return done.result

    def _step(
        self,
        name: str,
        inputs: Sequence[str],
        work: Callable[[], Done],
        still_good: Callable[[str], bool] = lambda _: True,
    ) -> str:
        digest = inputs_hash(self.spec.digest(), self._code, *inputs)
        entry = self.ledger.get(name, digest)
        if entry is not None and still_good(entry.result):
            self.say(f"{name}: done before")
            self._done(name, Done(entry.result, entry.section), entry.duration_s, True)
            return entry.result
        self.say(name)
        started = time.perf_counter()
        done = work()
        duration_s = time.perf_counter() - started
        self.ledger.put(name, Entry(digest, done.result, done.section, round(duration_s, 3)))
        self._done(name, done, duration_s, False)
        return done.result

    def _done(self, name: str, done: Done, duration_s: float, before: bool) -> None:
        self.sections.append(Section(name, done.section, duration_s, before))


def run_job(spec: JobSpec, say: Say) -> Outcome:
    """Run a job, or what is left of it; the report is written in any case.

    Raises JobError if another process runs it, and what the steps raise.
    """
    ready(target_named(spec.target, None if spec.precision == AUTO else spec.precision))
    folder = job_folder(spec)
    with ledger_in(folder) as ledger:
        steps.passes_of(spec)
        steps.check_store(spec)
        job = Job(spec, ledger, say)
        problem: Optional[Exception] = None
        try:
            artifact = job.run()
        except Exception as error:
            problem = error
            raise
        finally:
            failed = STEPS[len(job.sections)] if problem else None
            report = write_report(folder, spec, job.sections, failed, problem)
    return Outcome(artifact, report)


def job_folder(spec: JobSpec) -> Path:
    """Where a job keeps its steps and its report."""
    return Path(spec.out) / "jobs" / f"{spec.model}-{spec.target}-{spec.digest()[:12]}"


def _hash_of(weights: str) -> str:
    return weights if weights == UNTRAINED else sha256_file(Path(weights))
