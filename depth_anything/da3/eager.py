"""Scenes by the torch network itself, through upstream's class: nothing is compiled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Optional

import numpy as np

from depth.errors import CheckpointError, InputError
from depth.images.given import Given, hold
from depth.images.read import ImageFile, decode
from depth.scenes.inputs import CROP
from depth.scenes.scene import Scene
from depth.weights.checkpoint import read_checkpoint
from depth.weights.registry import by_sha256
from depth_anything.da3.models import Chosen
from depth_anything_3.anyview.folder import AnyView
from depth_anything_3.anyview.network import AnyViewNetwork
from depth_anything_3.api import DepthAnything3
from depth_anything_3.export import Made, scene_of
from depth_anything_3.inputs import Source, placed_inputs
from depth_anything_3.scenes import Wish, align, cameras_of, prediction_of, seen, steps_of
from serve.scenes.asked import HEAD, READ, TRUNK, GivenUp, OnStep, SceneAsked


class EagerScenes:
    """A `MakeScene` of a model of any number of views. Calls may come from several threads.

    Raises CheckpointError for weights that are damaged or of another model, InputError for a model
    of one view.
    """

    def __init__(self, chosen: Chosen) -> None:
        checkpoint = read_checkpoint(chosen.weights)
        published = by_sha256(checkpoint.sha256)
        if published is not None and published.model != chosen.name:
            raise CheckpointError(
                f"{chosen.weights}: is published as {published.model}, not as {chosen.name}"
            )
        model = DepthAnything3(chosen.name)
        if not isinstance(model.network, AnyViewNetwork):
            raise InputError(f"{chosen.name} knows one image at a time, and no cameras")
        model.load_state_dict(checkpoint.state)
        self._network = AnyView(chosen.name, model.network, model.metric)
        self._made = Made(chosen.name, checkpoint.name, checkpoint.sha256, (), False)

    def __call__(
        self,
        images: Sequence[Given],
        asked: SceneAsked,
        on_step: Optional[OnStep] = None,
        given_up: Optional[GivenUp] = None,
    ) -> Scene:
        """The scene of these images. `given_up` is asked before the network begins, then no more.

        Raises InputError, for an image ImageError.
        """
        say = on_step or (lambda _step, _done, _total: None)
        if asked.mixed != CROP:
            raise InputError(f"mixed sizes {asked.mixed!r}: the eager network does {CROP!r}")
        sources = []
        for number, image in enumerate(images):
            say(READ, number, len(images))
            sources.append(_upright(image))
        inputs = placed_inputs(sources, asked.process_res, asked.method)
        if given_up is not None and given_up():
            raise InputError("the scene was given up before the network began")
        say(TRUNK, 0, 1)
        cameras = asked.cameras
        wish = Wish(tuple(asked.blocks), asked.ray_pose, asked.strategy, asked.gaussians)
        given = cameras and cameras_of(cameras.extrinsics, cameras.intrinsics, inputs)
        prediction = prediction_of(seen(self._network, inputs.images, given, wish), inputs)
        if given is not None:
            align(prediction, given, asked.align_to_given)
        say(HEAD, 1, 1)
        steps = steps_of(self._network, wish, posed=given is not None)
        scaled = given is not None and asked.align_to_given
        made = replace(self._made, steps=steps, scaled=scaled)
        scene = scene_of(prediction, sources, inputs.places, made)
        return replace(scene, names=tuple(asked.names)) if asked.names else scene


def _upright(image: Given) -> Source:
    """An image as upstream's class takes it, which ignores the orientation by EXIF."""
    if isinstance(image, (str, Path)):
        file = ImageFile.read(Path(image))
        if file.header.orientation == 1:
            return Path(image)
        pixels = decode(file).pixels
    else:
        opened = hold(image).open()
        pixels = (decode(opened) if isinstance(opened, ImageFile) else opened).pixels
    return np.ascontiguousarray(pixels[..., ::-1])
