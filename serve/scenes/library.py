"""The programs of models of several views: those for a number of views at a size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Callable, Optional

from depth.artifact.manifest import Artifact, Manifest
from depth.artifact.program import Program, Shape
from depth.artifact.steps import CamerasFromRays, Do, HostStep, RunStage, ScaleToMetres
from depth.errors import InputError
from depth.scenes.inputs import Inputs
from depth.sizes import Size, size_text
from depth.steps.ray_pose import DEFAULT
from depth.steps.stages import CAMERAS, HEAD, METRIC, PREFIX, RAYS, TRUNK
from depth.steps.views import METRES_STEP
from serve.errors import NoProgramError
from serve.library import COMMON, Library, unusable_outputs, unusable_program, unusable_rule

# Makes artifacts with programs for scenes of this many views at this size; true: also with what
# cameras from rays need.
BuildScenes = Callable[[Size, int, bool], Iterable[Artifact]]

_OF_SCENE = (CAMERAS, TRUNK)  # stages whose programs know the number of views
_NEEDED = {  # by stage: the tensors that serving knows by name, in and out
    PREFIX: (("images",), ("tokens", "class_tokens")),
    CAMERAS: (("codes", "known"), ("camera_tokens",)),
    TRUNK: (("tokens", "camera_tokens"), ("features", "codes")),
    HEAD: (("features",), ("depth", "confidence")),
}
_MORE = {
    RAYS: (("features",), ("depth", "confidence", "rays", "ray_confidence")),
    METRIC: (("images",), ("depth", "sky")),
}
_KNOWN = {**_NEEDED, **_MORE}


@dataclass(frozen=True)
class SceneRecipe:
    """The steps of a manifest of scenes."""

    inputs: Inputs
    before: tuple[HostStep, ...]
    ray_pose: CamerasFromRays
    metres: ScaleToMetres

    @staticmethod
    def of(manifest: Manifest) -> SceneRecipe:
        """Raises InputError for steps before the network that this version does not do."""
        steps = manifest.steps
        first = next(i for i, step in enumerate(steps) if isinstance(step, RunStage))
        before = tuple(step.step for step in steps[:first] if isinstance(step, Do))
        all_done = [step.step for step in steps if isinstance(step, Do)]
        rays = [step for step in all_done if isinstance(step, CamerasFromRays)]
        metres = [step for step in all_done if isinstance(step, ScaleToMetres)]
        inputs = Inputs(before, manifest.size)
        return SceneRecipe(inputs, before, (*rays, DEFAULT)[0], (*metres, METRES_STEP)[0])


@dataclass(frozen=True)
class SceneServed:
    """What answers scenes of a number of views at a size."""

    size: Size
    views: int
    artifact: Artifact  # that has the trunk
    prefixes_of: str  # identity of the artifact that has the prefix
    recipe: SceneRecipe
    stages: frozenset[str]  # that there are

    @property
    def metric(self) -> bool:
        """Whether scenes are in metres."""
        return METRIC in self.stages

    def shape(self, stage: str) -> Shape:
        """The shape of requests for a stage."""
        return Shape(*self.size, self.views if stage in _OF_SCENE else 1, stage)


class SceneLibrary(Library):
    """Programs of one model of several views, from one or several artifacts. Safe in any thread.

    `build` makes what is missing; without it a missing number of views is an error. Raises
    RefusedError for an artifact that must not be served, or cannot by this version.
    """

    def __init__(
        self,
        artifacts: Iterable[Artifact],
        build_scenes: Optional[BuildScenes] = None,
        allow_failed_parity: bool = False,
        allow_unverified: bool = False,
    ) -> None:
        self._recipes: dict[str, SceneRecipe] = {}  # by identity
        self._of: dict[Shape, Artifact] = {}  # what answers requests of a shape
        self._build_scenes = build_scenes
        self._making = Lock()
        super().__init__(artifacts, None, allow_failed_parity, allow_unverified)

    @property
    def sizes(self) -> list[Size]:
        """Sizes that have a trunk of some number of views."""
        return list(dict.fromkeys(size for size, _ in self.there))

    @property
    def there(self) -> list[tuple[Size, int]]:
        """Sizes and numbers of views that scenes can have."""
        return [((s.height_px, s.width_px), s.views) for s in list(self._of) if s.stage == TRUNK]

    def sizes_of(self, views: int) -> list[Size]:
        """Sizes that scenes of this many views can have."""
        return [size for size, found in self.there if found == views]

    def check_views(self, views: int) -> None:
        """Raises NoProgramError if scenes of this many views have no program at any size."""
        if self._build_scenes is None and not self.sizes_of(views):
            size = self.there[0][0] if self.there else (0, 0)
            raise NoProgramError(self._missing(size, views, rays=False))

    def any_artifact(self) -> Artifact:
        """One of them, for what they all have in common. Raises NoProgramError if there is none."""
        for artifact in self._of.values():
            return artifact
        raise NoProgramError(
            "no program is loaded; compile an artifact with `python -m compile build`"
        )

    def scene(self, size: Size, views: int, rays: bool = False) -> SceneServed:
        """What answers scenes of this many views; built if the library can.

        rays  also what cameras from rays need

        Raises NoProgramError that names what there is and the command that builds the rest, and
        what building raises.
        """
        found = self._found(size, views, rays)
        if found is None and self._build_scenes is not None:
            with self._making:
                found = self._found(size, views, rays)
                if found is None:
                    self._add(self._build_scenes(size, views, rays))
                    found = self._found(size, views, rays)
        if found is None:
            raise NoProgramError(self._missing(size, views, rays))
        return found

    def _found(self, size: Size, views: int, rays: bool) -> Optional[SceneServed]:
        shapes = {s: Shape(*size, views if s in _OF_SCENE else 1, s) for s in _KNOWN}
        there = frozenset(stage for stage, shape in shapes.items() if shape in self._of)
        if not there.issuperset(_NEEDED) or (rays and RAYS not in there):
            return None
        artifact = self._of[shapes[TRUNK]]
        prefix = self._of[shapes[PREFIX]]
        recipe = self._recipes[artifact.identity]
        return SceneServed(size, views, artifact, prefix.identity, recipe, there)

    def _missing(self, size: Size, views: int, rays: bool) -> str:
        have = ", ".join(f"{count} of {size_text(at)} px" for at, count in sorted(self.there))
        model = self._first.model if self._first else "MODEL"
        command = f"--model {model} --size {size_text(size)} --views {views}"
        if rays and self._found(size, views, rays=False):
            return (
                f"no program for cameras from rays at {size_text(size)} px. Compile it with "
                f"`python -m compile build {command} --rays`, or leave ray_pose out"
            )
        other = "take another number of images"
        if self.sizes_of(views):
            other = "use the shape policy `buckets`, or another process_res"
        return (
            f"no program for a scene of {views} views of {size_text(size)} px; there are programs "
            f"for views: {have or 'none'}. Compile it with `python -m compile build {command}`, or "
            f"{other}"
        )

    def _keep(self, artifact: Artifact) -> None:
        self._recipes[artifact.identity] = SceneRecipe.of(artifact.manifest)
        for key in artifact.manifest.keys:
            if self._of.setdefault(key.shape, artifact) is artifact:
                self.stages[key] = artifact, artifact.manifest.stages(key)

    def _common(self, m: Manifest) -> dict[str, object]:
        own = ("views", "steps", "outputs")  # which rays and numbers of views change
        found = {name: getattr(m, name) for name in COMMON if name not in own}
        return {**found, "pre-processing": SceneRecipe.of(m).before}

    def _problems(self, m: Manifest) -> Iterator[str]:
        return unservable_scenes(m)


def has_scene(artifact: Artifact, size: Size, views: int, rays: bool) -> bool:
    """Whether an artifact has programs for scenes of this many views."""
    there = {(p.stage, p.views) for p in artifact.manifest.programs if p.size == size}
    return (TRUNK, views) in there and (not rays or (RAYS, 1) in there)


def unservable_scenes(m: Manifest) -> Iterator[str]:
    """Each part of a manifest that this version cannot serve as scenes."""
    yield from unusable_rule(m.size)
    yield from unusable_outputs(m)
    if TRUNK not in m.runs:
        yield f"steps run {', '.join(m.runs)}: a model of single images, served by DepthPipeline"
        return
    unknown = [stage for stage in m.runs if stage not in _KNOWN]
    if unknown:
        yield f"steps run {', '.join(unknown)}; this version knows {', '.join(_KNOWN)}"
    try:
        SceneRecipe.of(m)
    except InputError as error:
        yield str(error)
    for program in m.programs:
        yield from unusable_program(m, program)
        yield from _unusable_tensors(program)


def _unusable_tensors(program: Program) -> Iterator[str]:
    if program.stage not in _KNOWN:
        return
    if program.stage not in _OF_SCENE and program.views != 1:
        yield f"program {program.name} has {program.views} views, expected 1"
    inputs, outputs = _KNOWN[program.stage]
    taken = tuple(sorted(tensor.name for tensor in program.inputs))
    given = {tensor.name for tensor in program.outputs}
    if taken != tuple(sorted(inputs)) or not given.issuperset(outputs):
        yield (
            f"program {program.name} takes {', '.join(taken)}, expected {', '.join(inputs)}; it "
            f"gives {', '.join(sorted(given))}, expected {', '.join(outputs)}"
        )
    lens = program.shapes(program.inputs)
    if program.stage == PREFIX and lens.get("images") != (program.batch, 3, *program.size):
        yield f"program {program.name} takes images {lens.get('images')}"
