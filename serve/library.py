"""The programs of the given artifacts: which one fits a shape, and whether it may be served."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Callable, NamedTuple, Optional

from depth.artifact.manifest import Artifact, Manifest
from depth.artifact.program import Program, ProgramKey, Shape, Tensor
from depth.artifact.verification import BUILT, FAILED, state
from depth.errors import InputError
from depth.family import DEPTH, FLOAT16, FLOAT32, FUSED, IMAGES, KINDS, NETWORK_DEPTHS
from depth.sizes import BOUNDS, ROUNDINGS, Size, SizeRule, size_text
from serve.errors import NoProgramError, RefusedError
from serve.recipe import Recipe

Build = Callable[[Sequence[Size]], Iterable[Artifact]]  # makes artifacts for missing sizes

_OUTPUT_DTYPES: tuple[str, ...] = (FLOAT32,)
_INPUT_DTYPES: tuple[str, ...] = (FLOAT32, FLOAT16)
_MAX_BATCH = 1 << 16  # far over what any device holds; a larger number is no batch
# What artifacts that are served together have in common: of one shape either could answer.
COMMON = (
    "family",
    "model",
    "checkpoint",
    "target",
    "precision",
    "size",
    "views",
    "steps",
    "outputs",
)


class Served(NamedTuple):
    """What answers requests for images of one size."""

    shape: Shape  # that the scheduler is asked for
    artifact: Artifact  # that has the programs
    recipe: Recipe  # of its manifest


class Library:
    """Programs of one model from one or several artifacts.

    `build` makes what is missing; without it a missing size is an error. Safe in any thread, except
    that `prepare` must not run beside others. Raises RefusedError for an artifact that must not be
    served, or cannot by this version.
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
        self.single: dict[Size, Served] = {}  # what answers requests for single images
        self._served: dict[Shape, Served] = {}
        # The artifact that has a program, and what to run one after the other.
        self.stages: dict[ProgramKey, tuple[Artifact, tuple[Program, ...]]] = {}
        self._first: Optional[Manifest] = None
        self._stage = FUSED  # that requests for images run
        self._add(artifacts)

    @property
    def sizes(self) -> list[Size]:
        """Sizes that have a program for single images."""
        return list(self.single)

    @property
    def programs(self) -> list[ProgramKey]:
        """Every shape in every batch size that there is."""
        return list(self.stages)

    def shape(self, size: Size, views: int = 1) -> Shape:
        """What a request for this size asks for, whether there is a program for it or not."""
        return Shape(*size, views, self._stage)

    def prepare(self, sizes: Iterable[Size]) -> None:
        """Make sure that these sizes have programs, building all missing ones at once.

        Raises NoProgramError if one is missing and there is nothing that builds.
        """
        wanted = dict.fromkeys(sizes)
        missing = [size for size in wanted if size not in self.single]
        if missing and self._build is not None:
            self._add(self._build(missing))
        for size in missing:
            self.find(size)

    def find(self, size: Size) -> Served:
        """What answers requests for images of this size. Raises NoProgramError."""
        try:
            return self.single[size]
        except KeyError:
            have = ", ".join(each.name for each in self._served) or "none"
            raise NoProgramError(
                f"no program for {self.shape(size).name} px (there are: {have}); compile one with "
                f"`python -m compile build --size {size_text(size)}`, or use the shape policy "
                "`buckets`"
            ) from None

    def any_artifact(self) -> Artifact:
        """One of them, for what they all have in common. Raises NoProgramError if there is none."""
        if not self._served:
            raise NoProgramError(
                "no program is loaded; compile an artifact with `python -m compile build`"
            )
        return next(iter(self._served.values())).artifact

    def _add(self, artifacts: Iterable[Artifact]) -> None:
        for artifact in artifacts:
            self._check(artifact)
            self._keep(artifact)

    def _keep(self, artifact: Artifact) -> None:
        recipe = Recipe.of(artifact.manifest)
        for key in artifact.manifest.keys:
            # All programs of a shape are of one artifact: results name it by their shape.
            served = self._served.setdefault(key.shape, Served(key.shape, artifact, recipe))
            if key.views == 1:
                self.single[key.size] = served
            if served.artifact is artifact:
                self.stages[key] = artifact, artifact.manifest.stages(key)

    def _common(self, m: Manifest) -> dict[str, object]:
        """What artifacts that are served together have in common."""
        return {name: getattr(m, name) for name in COMMON}

    def _problems(self, m: Manifest) -> Iterator[str]:
        return unservable(m)

    def _check(self, artifact: Artifact) -> None:
        m = artifact.manifest
        for problem in self._problems(m):
            raise RefusedError(
                f"{artifact.folder}: {problem}; this version cannot serve it: compile again, or "
                "use the version that made it"
            )
        found = state(artifact)
        if found == FAILED and not self._allow_failed_parity:
            raise RefusedError(
                f"{artifact.folder}: failed its parity gate, its numbers are wrong; compile again, "
                "or give --allow-failed-parity to see what it does"
            )
        if found == BUILT and not self._allow_unverified:
            raise RefusedError(
                f"{artifact.folder}: built, but its numbers were never measured on the device; run "
                f"`python -m compile parity {artifact.folder} --on-device` there, or give "
                "--allow-unverified"
            )
        first = self._first = self._first or m
        self._stage = first.runs[0]
        expected = self._common(first)
        for name, value in self._common(m).items():
            if value != expected[name]:
                raise RefusedError(
                    f"{artifact.folder}: {name} is {value}, the other artifacts have "
                    f"{expected[name]}; serve them separately"
                )


def unservable(m: Manifest) -> Iterator[str]:
    """Each part of a manifest that this version cannot serve: what it is, and what is expected.

    Served all the same it would give wrong numbers under a true-looking name.
    """
    yield from unusable_rule(m.size)
    try:
        Recipe.of(m)
    except InputError as error:
        yield str(error)
    if m.views.least != 1:
        yield f"views.least is {m.views.least}, expected 1: single images"
    yield from unusable_outputs(m)
    for program in m.programs:
        yield from unusable_program(m, program)
    for key in m.keys:
        yield from _unusable_chain(m, key)


def unusable_rule(rule: SizeRule) -> Iterator[str]:
    for name, found, known in (
        ("bound", rule.bound, BOUNDS),
        ("rounding", rule.rounding, ROUNDINGS),
    ):
        if found not in known:
            yield f"size.{name} is {found!r}, expected {' or '.join(known)}"
            return
    if rule.multiple_px < 1:
        yield f"size.multiple_px is {rule.multiple_px}, expected at least 1"
        return
    try:
        rule.size_for(1, 1)
    except (InputError, OverflowError):
        yield f"size.side_px is {rule.side_px}, expected a size that a network can have"


def unusable_outputs(m: Manifest) -> Iterator[str]:
    kinds: Mapping[str, str] = {output.name: output.kind for output in m.outputs}
    if len(kinds) < len(m.outputs) or kinds.get(DEPTH) not in NETWORK_DEPTHS:
        yield f"outputs are {kinds}, expected one {DEPTH!r} of kind {', '.join(NETWORK_DEPTHS)}"
    for output in m.outputs:
        for kind in (output.kind, output.becomes or output.kind):
            if kind not in KINDS:
                yield f"output {output.name} has kind {kind!r}, expected {', '.join(KINDS)}"
        if output.largest is not None and output.largest <= 0:
            yield f"output {output.name} has largest {output.largest}, expected more than 0"


def unusable_program(m: Manifest, program: Program) -> Iterator[str]:
    if program.batch > _MAX_BATCH:
        yield f"a program has batch {program.batch}, expected 1 to {_MAX_BATCH}"
    try:
        m.size.check(program.size)
    except InputError as error:
        yield f"a program has {error}"
    tensors = [(tensor, _INPUT_DTYPES) for tensor in program.inputs]
    tensors += [(tensor, _OUTPUT_DTYPES) for tensor in program.outputs]
    for tensor, known in tensors:
        if tensor.dtype not in known:
            yield (
                f"{tensor.name} of program {program.name} is {tensor.dtype!r}, expected "
                + " or ".join(map(repr, known))
            )


def _unusable_chain(m: Manifest, key: ProgramKey) -> Iterator[str]:
    """Images [B,3,H,W] in, each output of the manifest [B,.,.] out, and nothing that is missing."""
    images = (key.batch, 3, *key.size)
    have: dict[str, tuple[int, ...]] = {IMAGES.name: images}
    for program in m.stages(key):
        for tensor in program.inputs:
            yield from _other_shape(program, tensor, have.get(tensor.name))
        have.update(program.shapes(program.outputs))
    for output in m.outputs:
        found = have.get(output.name)
        if found is None or len(found) != 3 or found[0] != key.batch:
            yield f"output {output.name} of {key.name} has shape {found}, expected a map per image"


def _other_shape(
    program: Program, tensor: Tensor, given: Optional[tuple[int, ...]]
) -> Iterator[str]:
    found = tensor.shape(program.shape)
    if found != given:
        yield f"input {tensor.name} of {program.name} has shape {found}, expected {given}"
