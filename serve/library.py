"""The programs at hand: which artifact has one for a size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Callable, Optional

from depth.artifact.manifest import Artifact, Manifest, Program, ProgramKey
from depth.artifact.verification import BUILT, FAILED, state
from serve.errors import NoProgram, Refused
from serve.servable import unservable

Size = tuple[int, int]  # (height, width) px
Build = Callable[[Sequence[Size]], Iterable[Artifact]]  # makes artifacts for missing sizes


class Library:
    """Programs of one model from one or several artifacts.

    `build` makes what is missing; without it a missing size is an error. Safe in any thread, except
    that `prepare` must not run beside others.
    """

    def __init__(
        self,
        artifacts: Iterable[Artifact],
        build: Optional[Build] = None,
        allow_failed_parity: bool = False,
        allow_unverified: bool = False,
    ) -> None:
        self._build = build
        self._allow_failed_parity = allow_failed_parity
        self._allow_unverified = allow_unverified
        self._artifacts: dict[Size, Artifact] = {}
        self._programs: dict[ProgramKey, Artifact] = {}
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

    @property
    def programs(self) -> list[ProgramKey]:
        """Every size in every batch size that there is."""
        return list(self._programs)

    def stages(self, program: ProgramKey) -> tuple[Artifact, tuple[Program, ...]]:
        """The artifact that has this program, and what to run one after the other."""
        artifact = self._programs[program]
        return artifact, artifact.manifest.stages(program.size, program.batch)

    def any_artifact(self) -> Artifact:
        """One of them, for what they all have in common. Raises NoProgram if there is none."""
        if not self._artifacts:
            raise NoProgram("no program at hand; compile one with `python -m compile build`")
        return next(iter(self._artifacts.values()))

    def _add(self, artifacts: Iterable[Artifact]) -> None:
        for artifact in artifacts:
            self._check(artifact)
            for program in artifact.manifest.programs:
                whole = artifact.manifest.stages(program.size, program.batch)
                # All programs of a size are of one artifact: results name it by their size.
                if whole and self._artifacts.setdefault(program.size, artifact) is artifact:
                    self._programs[ProgramKey(*program.size, program.batch)] = artifact

    def _check(self, artifact: Artifact) -> None:
        m = artifact.manifest
        for problem in unservable(m):
            raise Refused(
                f"{artifact.folder}: {problem}; this version cannot serve it: compile again, or "
                "use the version that made it"
            )
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
