"""Artifacts made on demand and kept: look first, build what is missing in a process of its own.

Never imports torch: a job whose artifacts are all there starts fast.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from compile.errors import BuildError
from compile.source import ROOT, source_sha256
from compile.weights import Weights
from depth.artifact.manifest import MANIFEST, Artifact, read_artifact
from depth.errors import ArtifactError
from depth.family import model_named
from depth.sizes import Size, size_text

logger = logging.getLogger(__name__)

_SIZES_PER_BUILD = 4  # what an interrupted build can lose


@dataclass(frozen=True)
class Cache:
    """Artifacts in `folder` for one model, weights, target and precision."""

    folder: Path
    weights: Weights
    target: str
    precision: str
    images: Path  # folder of photographs that the parity gate uses beside its own test images

    def artifacts(self) -> Iterator[Artifact]:
        """The artifacts here that this version of the code would make again."""
        family = model_named(self.weights.model).family
        source = source_sha256(self.target, self.precision, family)
        made = lru_cache(self.weights.made)  # hashes the weights: once, not for every artifact
        # The oldest first: results name the artifact that they are of, and a newer one with the
        # same program would have all of them made again.
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
                key == (self.weights.model, self.target, self.precision, source)
                and m.gate.passed
                and made(m.checkpoint)
            ):
                yield artifact

    def build(self, sizes: Sequence[Size]) -> Iterable[Artifact]:
        """Compile programs for these sizes, a few at a time; progress goes to stderr.

        Raises BuildError if the compiler fails; it has said why.
        """
        for start in range(0, len(sizes), _SIZES_PER_BUILD):
            yield self._build(sizes[start : start + _SIZES_PER_BUILD])

    def _build(self, sizes: Sequence[Size]) -> Artifact:
        command = [sys.executable, "-m", "compile", "build", "--model", self.weights.model]
        command += ["--target", self.target, "--precision", self.precision]
        command += ["--images", str(self.images)]
        command += ["--checkpoint", str(self.weights.file), "--out", str(self.folder)]
        for size in sizes:
            command += ["--size", size_text(size)]
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": path},
        )
        if done.returncode:
            raise BuildError(f"could not compile {self.weights.model} for {self.target}; see above")
        return read_artifact(Path(done.stdout.strip()))


def _made_ns(folder: Path) -> int:
    try:
        return (folder / MANIFEST).stat().st_mtime_ns
    except OSError:  # gone a moment ago
        return 0
