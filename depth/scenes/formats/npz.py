"""`npz` and `mini_npz`: arrays under upstream's keys, rounded as upstream rounds them.

Keys: depth, conf where the scene has confidence, extrinsics and intrinsics unless something of them
is assumed; npz also has image.
"""

from __future__ import annotations

import io
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from depth.errors import InputError
from depth.scenes.formats.files import Files
from depth.scenes.options import OWN, Options
from depth.scenes.scene import Scene
from depth.scenes.view import frame_of, has_images, image_of, view_of

NPZ, MINI_NPZ = "exports/npz/results.npz", "exports/mini_npz/results.npz"

_DEPTH_DIGITS, _MINI_DEPTH_DIGITS, _CONFIDENCE_DIGITS = 6, 8, 2


def npz_files(scene: Scene, options: Options) -> Files:
    """Its one file. Raises InputError if the views' sizes differ."""
    _check_sizes(scene, options)
    return {NPZ: partial(_npz, scene, options)}


def mini_npz_files(scene: Scene, options: Options) -> Files:
    """Its one file. Raises InputError if the views' sizes differ."""
    _check_sizes(scene, options)
    return {MINI_NPZ: partial(_mini_npz, scene, options)}


def _npz(scene: Scene, options: Options) -> bytes:
    arrays = _arrays(scene, options, _DEPTH_DIGITS)
    if has_images(scene, options.size):
        images = [image_of(scene, view, options.size) for view in range(len(scene))]
        arrays = {"image": np.stack(images), **arrays}
    return _packed(arrays)


def _mini_npz(scene: Scene, options: Options) -> bytes:
    return _packed(_arrays(scene, options, _MINI_DEPTH_DIGITS))


def _check_sizes(scene: Scene, options: Options) -> None:
    frames = [frame_of(scene, view, options.size) for view in range(len(scene))]
    sizes = sorted({frame.size for frame in frames})
    if len(sizes) > 1:
        raise InputError(
            f"npz holds views of one size, and the sources have {len(sizes)}, {sizes[0]} and "
            f"{sizes[-1]} (height, width) px: choose the size {OWN!r}, or another format"
        )


def _arrays(scene: Scene, options: Options, digits: int) -> dict[str, npt.NDArray[Any]]:
    frames = [frame_of(scene, view, options.size) for view in range(len(scene))]
    views = [view_of(scene, view, options.size) for view in range(len(scene))]
    arrays = {"depth": np.round(np.stack([view.depth for view in views]), digits)}
    confidence = [view.confidence for view in views if view.confidence is not None]
    if confidence:
        arrays["conf"] = np.round(np.stack(confidence), _CONFIDENCE_DIGITS)
    if scene.assumed is None:
        arrays["extrinsics"] = scene.extrinsics.astype(np.float32)
        arrays["intrinsics"] = np.stack([frame.intrinsics for frame in frames]).astype(np.float32)
    return arrays


def _packed(arrays: dict[str, npt.NDArray[Any]]) -> bytes:
    # Not deflated: of float32 that takes seconds for a fifth of the size.
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()
