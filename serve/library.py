"""The programs at hand: which artifact has one for a size, and which are loaded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from threading import Lock
from typing import Callable, Optional

from depth_anything_v2.artifact import Artifact, Manifest
from depth_anything_v2.verification import BUILT, FAILED, state
from serve.errors import NoProgram, Refused
from serve.runtimes import Runtime, open_runtime

Size = tuple[int, int]  # (height, width) px
Build = Callable[[Sequence[Size]], Iterable[Artifact]]  # makes artifacts for missing sizes

STREAMS = 2  # images at once in a folder job: one reads and writes while the other has the cores
_MAX_LOADED = 4  # programs of vits at 518 px take about 0.5 GB each when loaded


class Library:
    """Programs of one model from one or several artifacts, loaded when first used.

    `build` makes what is missing; without it a missing size is an error. `streams` runs of one
    program share the cores. Safe in any thread, except that `prepare` must not run beside others.
    """

    def __init__(
        self,
        artifacts: Iterable[Artifact],
        build: Optional[Build] = None,
        allow_failed_parity: bool = False,
        allow_unverified: bool = False,
        streams: int = 1,
    ) -> None:
        self.streams = streams
        self._loading = Lock()
        self._build = build
        self._allow_failed_parity = allow_failed_parity
        self._allow_unverified = allow_unverified
        self._artifacts: dict[Size, Artifact] = {}
        self._loaded: OrderedDict[Size, Runtime] = OrderedDict()
        self._first: Optional[Manifest] = None
        self._add(artifacts)

    @property
    def sizes(self) -> list[Size]:
        """Sizes that have a program."""
        return list(self._artifacts)

    def prepare(self, sizes: Iterable[Size]) -> None:
        """Make sure that these sizes have programs, building all missing ones at once.

        Raises NoProgram if one is missing and there is nothing that builds.
        """
        missing = [size for size in dict.fromkeys(sizes) if size not in self._artifacts]
        if missing and self._build is not None:
            self._add(self._build(missing))
        for height, width in missing:
            self.artifact((height, width))

    def artifact(self, size: Size) -> Artifact:
        """The artifact that has a program for this size. Raises NoProgram."""
        try:
            return self._artifacts[size]
        except KeyError:
            have = ", ".join(f"{h}x{w}" for h, w in self._artifacts) or "none"
            raise NoProgram(
                f"no program for {size[0]}x{size[1]} px (there are: {have}); compile one with "
                f"`python -m compile build --size {size[0]}x{size[1]}`, or use the shape policy "
                "`buckets`"
            ) from None

    def runtime(self, size: Size) -> Runtime:
        """The loaded program for this size; the least recently used one makes room.

        Raises NoProgram, RuntimeFailure or ArtifactError.
        """
        with self._loading:
            if size not in self._loaded:
                artifact = self.artifact(size)
                stages = artifact.manifest.stages(size)
                if not stages:
                    raise NoProgram(f"{artifact.folder}: its programs of {size} have no batch 1")
                # Whoever still runs the one that makes room keeps it until done.
                while len(self._loaded) >= _MAX_LOADED:
                    self._loaded.popitem(last=False)
                self._loaded[size] = open_runtime(artifact, stages, self.streams)
            self._loaded.move_to_end(size)
            return self._loaded[size]

    def _add(self, artifacts: Iterable[Artifact]) -> None:
        for artifact in artifacts:
            self._check(artifact)
            for program in artifact.manifest.programs:
                if program.batch == 1:
                    self._artifacts.setdefault(program.size, artifact)

    def _check(self, artifact: Artifact) -> None:
        m = artifact.manifest
        found = state(artifact)
        if found == FAILED and not self._allow_failed_parity:
            raise Refused(
                f"{artifact.folder}: failed its parity gate, its numbers are wrong; compile again, "
                "or give --allow-failed-parity to see what it does"
            )
        if found == BUILT and not self._allow_unverified:
            raise Refused(
                f"{artifact.folder}: built, but its numbers were never measured on the device; run "
                f"`python -m compile parity {artifact.folder} --on-device` there, or give "
                "--allow-unverified"
            )
        first = self._first = self._first or m
        for name in ("model", "checkpoint", "target", "precision", "preprocess"):
            if getattr(m, name) != getattr(first, name):
                raise Refused(
                    f"{artifact.folder}: {name} is {getattr(m, name)}, the other artifacts have "
                    f"{getattr(first, name)}; serve them separately"
                )
