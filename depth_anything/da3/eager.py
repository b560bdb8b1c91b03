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
from depth.scenes.inputs import CROP, planned
from depth.scenes.scene import Scene
from depth.sizes import Size
from depth.weights.checkpoint import read_checkpoint
from depth.weights.registry import by_sha256
from depth_anything.da3.models import Chosen
from depth_anything_3.anyview.folder import AnyView
from depth_anything_3.anyview.network import AnyViewNetwork
from depth_anything_3.api import DepthAnything3
from depth_anything_3.export import Made, scene_of
from depth_anything_3.inputs import Source
from depth_anything_3.mono import SIZE
from depth_anything_3.scenes import Wish, steps_of
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
        self._model = model

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
        sources, sizes = [], []
        for number, image in enumerate(images):
            say(READ, number, len(images))
            source, size = _upright(image)
            sources.append(source)
            sizes.append(size)
        if given_up is not None and given_up():
            raise InputError("the scene was given up before the network began")
        say(TRUNK, 0, 1)
        cameras = asked.cameras
        prediction = self._model.inference(
            sources,
            extrinsics=None if cameras is None else cameras.extrinsics,
            intrinsics=None if cameras is None else cameras.intrinsics,
            align_to_input_ext_scale=asked.align_to_given,
            use_ray_pose=asked.ray_pose,
            ref_view_strategy=asked.strategy,
            process_res=asked.process_res,
            process_res_method=asked.method,
        )
        say(HEAD, 1, 1)
        wish = Wish(ray_pose=asked.ray_pose, strategy=asked.strategy)
        scaled = cameras is not None and asked.align_to_given
        steps = steps_of(self._network, wish, posed=cameras is not None)
        plan = planned(sizes, SIZE, asked.process_res, asked.method)
        made = replace(self._made, steps=steps, scaled=scaled)
        scene = scene_of(prediction, sources, plan.places, made)
        return replace(scene, names=tuple(asked.names)) if asked.names else scene


def _upright(image: Given) -> tuple[Source, Size]:
    """An image as upstream's class takes it, which ignores EXIF; and its (height, width) px."""
    if isinstance(image, (str, Path)):
        file = ImageFile.read(Path(image))
        header = file.header
        if header.orientation == 1:
            return Path(image), (header.height_px, header.width_px)
        pixels = decode(file).pixels
    else:
        opened = hold(image).open()
        pixels = (decode(opened) if isinstance(opened, ImageFile) else opened).pixels
    rgb = np.ascontiguousarray(pixels[..., ::-1])
    return rgb, (rgb.shape[0], rgb.shape[1])
