"""Images in, their scene out: pre-processing, the cores, and the host work between stages."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from typing import Optional

from depth.errors import InputError
from depth.maps.result import FloatArray
from depth.scenes.inputs import Plan, planned
from depth.scenes.scene import Scene
from depth.sizes import Size, SizeRule
from depth.steps.cameras import Cameras
from depth.steps.views import Views, metric_views, posed_by_rays, views_after
from serve.backend import OpenBackend, open_backend
from serve.cores import Cores
from serve.jobs.memory import Room
from serve.scenes.asked import OnStep, SceneAsked
from serve.scenes.cache import PrefixCache
from serve.scenes.images import OpenedImage, inputs_of
from serve.scenes.library import SceneLibrary, SceneServed
from serve.scenes.result import Shot, scene_of, shot_of
from serve.scenes.stages import ServedStages
from serve.scenes.watch import Wanted, Watch
from serve.scheduling.core import Snapshot
from serve.shapes import EXACT, POLICIES, nearest_size

# Runs that share a CPU: a trunk has no other run beside it, so each run gets every core.
_AT_ONCE = 1


class SceneEngine(AbstractContextManager["SceneEngine"]):
    """Makes scenes through the programs of a library. Safe in any thread.

    A context manager with the states of serve/cores.py.

    policy     `exact` or `buckets`; see serve/shapes.py
    size_rule  that inputs follow; by default that of the library's artifacts
    sizes      what `buckets` chooses from while there is no program
    cache      of what the first stage says of images
    backend    what opens the cores
    """

    def __init__(
        self,
        library: SceneLibrary,
        policy: str = EXACT,
        size_rule: Optional[SizeRule] = None,
        sizes: Collection[Size] = (),
        cache: Optional[PrefixCache] = None,
        backend: OpenBackend = open_backend,
    ) -> None:
        if policy not in POLICIES:
            raise InputError(f"no shape policy {policy!r}; choose from {', '.join(POLICIES)}")
        self.library = library
        self.policy = policy
        self.cache = cache or PrefixCache()
        self._size_rule = size_rule
        self._sizes = sizes
        self._cores = Cores(library, backend)
        self._room = Room()

    def plan(self, sizes: Sequence[Size], asked: SceneAsked, views: Optional[int] = None) -> Plan:
        """How images of these (height, width) px become inputs of one size.

        views  that the scene has, if other than the images

        Raises InputError or NoProgramError if they cannot.
        """
        rule = self._size_rule or self.library.any_artifact().manifest.size
        plan = planned(sizes, rule, asked.process_res, asked.method, asked.mixed)
        if self.policy == EXACT:
            return plan
        there = self.library.sizes_of(views or len(plan.views)) or self._sizes
        return plan.at(nearest_size(plan.size, there or self.library.sizes))

    def warm_up(self, size: Size, views: int) -> None:
        """Have the programs for scenes of this many views, loaded on every core of a chip.

        A CPU loads them when they are first used. Raises as `SceneLibrary.scene` and
        `Scheduler.warm_up`.
        """
        served = self.library.scene(size, views)
        opened = self._cores.open(_AT_ONCE)
        opened.scheduler.offer(self.library.programs)
        if not opened.backend.shared:
            opened.scheduler.warm_up({served.shape(stage) for stage in served.stages})

    def watch(self, wanted: Wanted, on_step: Optional[OnStep] = None) -> Watch:
        """What runs the requests of a scene. Opens the cores. Raises as `Cores.open`."""
        scheduler = self._cores.open(_AT_ONCE).scheduler
        scheduler.offer(self.library.programs)
        return Watch(scheduler, wanted, on_step)

    def inputs(self, shot: Shot, served: SceneServed, watch: Watch) -> FloatArray:
        """Network inputs [S,3,h,w]. Raises ImageError, and as `Watch.step`."""
        return inputs_of(shot.images, shot.plan, served.recipe.inputs, self._room, watch)

    def views(
        self,
        inputs: FloatArray,
        given: Optional[Cameras],
        asked: SceneAsked,
        served: SceneServed,
        watch: Watch,
    ) -> Views:
        """What the network says of one scene. Raises as `Watch.run`, and InputError."""
        stages = ServedStages(served, watch, self.cache)
        prefixes = stages.prefix(inputs)
        views = views_after(stages, prefixes, given, asked.strategy, rays=asked.ray_pose)
        if asked.ray_pose:
            views = posed_by_rays(views, served.recipe.ray_pose)
        if served.metric:
            views = metric_views(views, stages.metric, inputs, served.recipe.metres)
        return views

    def scene(
        self,
        images: Sequence[OpenedImage],
        asked: SceneAsked,
        wanted: Wanted,
        on_step: Optional[OnStep] = None,
    ) -> Scene:
        """The scene of images. Raises as the parts above."""
        shot = shot_of(images, self.plan([image.size for image in images], asked), asked)
        served = self.library.scene(shot.plan.size, len(shot.plan.views), asked.ray_pose)
        watch = self.watch(wanted, on_step)
        inputs = self.inputs(shot, served, watch)
        views = self.views(inputs, shot.given, asked, served, watch)
        return scene_of(views, shot, asked, served, inputs, self.policy)

    def snapshot(self) -> Optional[Snapshot]:
        """How its scheduler is doing; None before the first run and after `close`."""
        return self._cores.snapshot()

    def close(self) -> None:
        """Take no more work, finish what there is, and give the cores back."""
        self._cores.close()

    def __exit__(self, *_raised: object) -> None:
        self.close()
