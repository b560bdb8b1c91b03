"""Artifacts built on demand and kept: look first, build missing sizes in another process.

Never imports torch: a job that finds all its artifacts starts fast.
"""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Callable, Optional

from compile.build.fastest.record import Key, find
from compile.errors import BuildError
from compile.source import source_sha256
from compile.targets.table import AUTO, precision_here, target_named
from compile.weights import Weights
from depth.artifact.manifest import MANIFEST, Artifact, read_artifact
from depth.child import GRACE_S, child_command, child_environment, lifeline
from depth.errors import ArtifactError
from depth.family import model_named
from depth.files import sha256_file
from depth.sizes import Size, size_text

logger = logging.getLogger(__name__)

_SIZES_PER_BUILD = 4  # what an interrupted build can lose
_POLL_S = 0.1  # how often a build looks whether it is stopped


@dataclass(frozen=True)
class Cache:
    """Artifacts in `folder` for one model, weights, target and precision."""

    folder: Path
    weights: Weights
    target: str
    precision: str
    images: Path  # folder of photographs that the parity gate uses beside its own test images
    stopped: Callable[[], bool] = lambda: False  # polled during a build: true ends the build

    def artifacts(self) -> Iterator[Artifact]:
        """The artifacts in the folder that this version of the code would build again."""
        precision = self._precision()
        if precision is None:
            return
        family = model_named(self.weights.model).family
        source = source_sha256(self.target, precision, family)
        made = lru_cache(self.weights.made)  # hashes the weights: once, not for every artifact
        # The oldest first: results name their artifact. A newer artifact with the same program
        # would have every result made again.
        found = self.folder.glob(f"{self.weights.model}-{self.target}-*")
        for path in sorted(found, key=lambda path: (_made_ns(path), path)):
            try:
                artifact = read_artifact(path)
            except ArtifactError as error:
                logger.warning("ignored: %s", error)
                continue
            m = artifact.manifest
            key = (m.model, m.target, m.precision, m.versions.get("source_sha256"))
            if (
                key == (self.weights.model, self.target, precision, source)
                and m.gate.passed
                and made(m.checkpoint)
            ):
                yield artifact

    def _precision(self) -> Optional[str]:
        """What this CPU runs for the asked precision; None if `auto` has not chosen yet."""
        if self.precision != AUTO:
            return precision_here(target_named(self.target), self.precision)
        family = model_named(self.weights.model).family
        digest = sha256_file(self.weights.file)
        chosen = find(self.folder, Key.here(family, self.weights.model, digest, self.target))
        return chosen.precision if chosen else None

    def build(self, sizes: Sequence[Size]) -> Iterable[Artifact]:
        """Compile programs for these sizes, a few at a time; progress goes to stderr.

        Ends early, with fewer artifacts, once `stopped` is true. Raises BuildError if the compiler
        fails; its own message is on stderr then.
        """
        for start in range(0, len(sizes), _SIZES_PER_BUILD):
            artifact = self._build(sizes[start : start + _SIZES_PER_BUILD])
            if artifact is None:
                return
            yield artifact

    def build_scenes(self, size: Size, views: int, rays: bool = False) -> Iterator[Artifact]:
        """Compile programs for scenes of this many views, as `build`.

        rays  also what cameras from rays are made with
        """
        more = ["--views", str(views), *(["--rays"] if rays else [])]
        artifact = self._build([size], more)
        if artifact is not None:
            yield artifact

    def _build(self, sizes: Sequence[Size], more: Sequence[str] = ()) -> Optional[Artifact]:
        arguments = ["build", "--model", self.weights.model]
        arguments += ["--target", self.target, "--precision", self.precision]
        arguments += ["--images", str(self.images)]
        arguments += ["--checkpoint", str(self.weights.file), "--out", str(self.folder), *more]
        for size in sizes:
            arguments += ["--size", size_text(size)]
        there = self.folder.exists()
        done = run_until(self.stopped, child_command("compile", *arguments), child_environment())
        code, output = done
        if not there:
            with suppress(OSError):  # something is in it
                self.folder.rmdir()
        if self.stopped():  # Ctrl-C ends the compiler too
            return None
        if code:
            raise BuildError(f"could not compile {self.weights.model} for {self.target}; see above")
        return read_artifact(Path(output.strip()))


def run_until(
    stopped: Callable[[], bool], command: Sequence[str], environment: Mapping[str, str]
) -> tuple[int, str]:
    """Run a command: its exit code and its stdout. Once `stopped` is true, end it: no stdout."""
    output = ""
    with (
        lifeline() as line,
        subprocess.Popen(
            command,
            stdin=line,
            stdout=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
            env=environment,
        ) as process,
    ):
        try:
            while process.returncode is None and not stopped():
                with suppress(subprocess.TimeoutExpired):
                    output, _ = process.communicate(timeout=_POLL_S)
        finally:
            if process.poll() is None:
                _end(process)
    return process.returncode, output


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()


def _made_ns(folder: Path) -> int:
    try:
        return (folder / MANIFEST).stat().st_mtime_ns
    except OSError:  # gone a moment ago
        return 0
