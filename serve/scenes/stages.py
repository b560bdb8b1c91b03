"""The stages of an artifact on the cores of this process, as `depth/steps/views.py` drives them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from depth.maps.result import FloatArray
from depth.sizes import Size
from depth.steps.stages import CAMERAS, HEAD, METRIC, PREFIX, RAYS, TRUNK, Prefixes, check_images
from serve.arrays import Arrays
from serve.errors import ProgramError
from serve.scenes import asked
from serve.scenes.cache import PrefixCache, keys_of
from serve.scenes.library import SceneServed
from serve.scenes.watch import Watch

_MAPS = ("depth", "confidence")
_LINES = ("rays", "ray_confidence")


class ServedStages:
    """Implements `Stages` for one scene."""

    def __init__(self, served: SceneServed, watch: Watch, cache: PrefixCache) -> None:
        self._served = served
        self._watch = watch
        self._cache = cache

    @property
    def size(self) -> Size:
        """(height, width) px."""
        return self._served.size

    def prefix(self, images: FloatArray) -> Prefixes:
        """As `Stages.prefix`; what the cache has is not computed again."""
        check_images(images, self.size)
        keys = list(map(keys_of(self._served.prefixes_of), images))
        found = {key: self._cache.get(key) for key in dict.fromkeys(keys)}
        missing = [key for key, outputs in found.items() if outputs is None]
        requests = [{"images": images[keys.index(key)]} for key in missing]
        known = len(images) - len(missing)
        if known:
            self._watch.step(asked.PREFIX, known, len(images))
        for key, outputs in zip(missing, self._run(PREFIX, requests, asked.PREFIX, known)):
            self._cache.put(key, outputs)
            found[key] = outputs
        views = [outputs for outputs in map(found.get, keys) if outputs is not None]
        return Prefixes(_stacked(views, "tokens"), _stacked(views, "class_tokens"))

    def cameras(self, codes: FloatArray, known: bool) -> FloatArray:
        """As `Stages.cameras`."""
        flag = np.full((1, 1), known, np.float32)
        (found,) = self._run(CAMERAS, [{"codes": codes, "known": flag}])
        return found["camera_tokens"]

    def trunk(self, tokens: FloatArray, camera_tokens: FloatArray) -> tuple[FloatArray, FloatArray]:
        """As `Stages.trunk`."""
        request = {"tokens": tokens, "camera_tokens": camera_tokens}
        (found,) = self._run(TRUNK, [request], asked.TRUNK)
        return found["features"], found["codes"]

    def head(self, features: FloatArray, rays: bool) -> tuple[FloatArray, ...]:
        """As `Stages.head`."""
        requests = [{"features": view} for view in features]
        found = self._run(RAYS if rays else HEAD, requests, asked.HEAD)
        return tuple(_stacked(found, name) for name in (_MAPS + _LINES if rays else _MAPS))

    def metric(self, images: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Depth and sky [S,H,W] of the network that knows metres."""
        found = self._run(METRIC, [{"images": image} for image in images], asked.METRIC)
        return _stacked(found, "depth"), _stacked(found, "sky")

    def _run(
        self, stage: str, requests: Sequence[Arrays], step: str = "", before: int = 0
    ) -> list[Arrays]:
        return self._watch.run(requests, self._served.shape(stage), step, before)


def _stacked(found: Sequence[Arrays], name: str) -> FloatArray:
    stacked = np.stack([outputs[name] for outputs in found])
    if not np.isfinite(stacked).all():
        raise ProgramError(f"the network's {name} are not finite: its numbers overflow")
    return stacked
