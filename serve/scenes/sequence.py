"""A long sequence in windows that overlap, each moved into the space of the first window."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Sequence, Sized
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Callable, Optional

import numpy as np

from depth.errors import InputError
from depth.images.given import RGB, Given
from depth.maps.result import FloatArray
from depth.scenes.inputs import Plan
from depth.scenes.names import plain_name
from depth.scenes.scene import Scene
from depth.sizes import size_text
from depth.steps.joining import Joint, joined, moved_views, some_views
from depth.steps.views import Views
from serve.scenes.asked import FRAMES, GivenUp, OnStep, SceneAsked
from serve.scenes.engine import SceneEngine
from serve.scenes.images import OpenedImage, opened
from serve.scenes.result import Shot, scene_of
from serve.scenes.watch import Wanted

logger = logging.getLogger(__name__)

_BAD = 0.15  # error of a joint, as a share of depth, from which on the log warns


@dataclass(frozen=True)
class Windows:
    """How a sequence is cut. Raises InputError for windows that share no frame, or all.

    window   frames that the network sees at once
    overlap  frames that a window shares with the window before; the last may share more
    """

    window: int = 8
    overlap: int = 4

    def new(self, first: bool) -> int:
        """How many frames a window reads."""
        return self.window if first else self.window - self.overlap

    def __post_init__(self) -> None:
        if not 0 < self.overlap < self.window:
            raise InputError(
                f"windows of {self.window} frames that share {self.overlap}: expected at least 1 "
                "shared frame, and fewer than the window has"
            )


class SceneSequence:
    """The frames of one sequence, through an engine.

    asked    of every window; no cameras and no names
    turn     held while a window is under way
    on_step  told how many frames are done: ("frames", 12, 300), or as many again if nobody knows

    Raises InputError for what sequences do not take.
    """

    def __init__(
        self,
        engine: SceneEngine,
        asked: SceneAsked,
        windows: Windows,
        turn: Callable[[Wanted], AbstractContextManager[None]],
        colour_order: str = RGB,
        on_step: Optional[OnStep] = None,
        given_up: Optional[GivenUp] = None,
    ) -> None:
        if asked.cameras is not None or asked.names:
            raise InputError("a sequence takes neither cameras nor names: make scenes instead")
        self._engine = engine
        self._asked = asked
        self._windows = windows
        self._turn = turn
        self._colour_order = colour_order
        self._on_step = on_step
        self._given_up = given_up

    def scenes(self, frames: Iterable[Given]) -> Generator[Scene, None, None]:
        """A scene per window, of its new frames. Raises as `SceneEngine.scene`."""
        count = len(frames) if isinstance(frames, Sized) else None
        source, done = iter(frames), 0
        before: Optional[_Window] = None
        while new := list(islice(source, self._windows.new(before is None))):
            wanted = Wanted(self._asked.deadline_s, self._given_up)
            wanted.check()
            with self._turn(wanted):
                before, scene = self._window(new, done, before, wanted)
            done += len(new)
            if self._on_step is not None:
                self._on_step(FRAMES, done, done if count is None else count)
            yield scene
        if before is None:
            raise InputError("no frames")

    def _window(
        self, new: Sequence[Given], first: int, before: Optional[_Window], wanted: Wanted
    ) -> tuple[_Window, Scene]:
        engine, asked = self._engine, self._asked
        images = opened(new, self._colour_order, first)
        shared = 0 if before is None else self._windows.window - len(new)
        plan = _plan(images, first, engine, asked, shared + len(new), before)
        served = engine.library.scene(plan.size, shared + len(new), asked.ray_pose)
        watch = engine.watch(wanted)
        shot = Shot(plan, images, tuple(_name(first + n, image) for n, image in enumerate(images)))
        fresh = inputs = engine.inputs(shot, served, watch)
        if before is not None:
            inputs = np.concatenate((before.inputs[-shared:], fresh))
        views = engine.views(inputs, None, asked, served, watch)
        step = "first_window"
        if before is not None:
            joint = joined(
                some_views(before.views, slice(-shared, None)), some_views(views, slice(shared))
            )
            if joint.error > _BAD:
                logger.warning(
                    "frames from %d on do not fit the frames before: half of the points are off by "
                    "%.0f %% of their depth and more; is there a cut?",
                    first,
                    100 * joint.error,
                )
            views, step = moved_views(views, joint.move), _told(joint, shared)
        scene = scene_of(
            some_views(views, slice(shared, None)), shot, asked, served, fresh, engine.policy
        )
        made = scene.provenance
        scene = replace(scene, provenance=replace(made, steps=(*made.steps, step)))
        return _Window(plan, inputs, some_views(views, slice(None))), scene


@dataclass(frozen=True, eq=False)
class _Window:
    """What the next window needs of a window."""

    plan: Plan
    inputs: FloatArray  # [S,3,h,w]
    views: Views  # in the space of the first window


def _plan(
    images: Sequence[OpenedImage],
    first: int,
    engine: SceneEngine,
    asked: SceneAsked,
    views: int,
    before: Optional[_Window],
) -> Plan:
    """How new frames become inputs, all in the same way. Raises InputError for another size."""
    alone = engine.plan([images[0].size], asked, views) if before is None else before.plan
    for number, image in enumerate(images, first):
        if image.size != alone.places[0].source:
            raise InputError(
                f"frame {number} has {size_text(image.size)} px, the first frame has "
                f"{size_text(alone.places[0].source)}: a sequence has frames of one size"
            )
    count = len(images)
    return replace(alone, views=tuple(range(count)), places=alone.places[:1] * count)


def _name(number: int, image: OpenedImage) -> str:
    """In order, whatever the file is called."""
    return f"{number:06d}_{plain_name(str(image.path or ''))}"


def _told(joint: Joint, shared: int) -> str:
    return f"joined(frames={shared}, scale={joint.move.scale:.6g}, error={joint.error:.3g})"
