"""A scene: depth, confidence and cameras of several views in one space, checked when it is made.

Letters: S views, H and W px of the depth maps. Axes are OpenCV's: x right, y down, z forward.
In px the upper left *corner* of an image is (0, 0), so its first pixel's centre is (0.5, 0.5) and
its middle is (W/2, H/2). COLMAP and nerfstudio count px in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Callable, Optional

import numpy as np
import numpy.typing as npt

from depth.errors import InputError
from depth.family import METRES, UNITS
from depth.maps.result import FloatArray, Provenance
from depth.sizes import Size
from depth.steps.gaussians import Gaussians

Pixels = npt.NDArray[np.uint8]
Doubles = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

METRE = UNITS[METRES]

_NAME_BYTES = 200  # of 255 that file systems take: exports add a suffix
_FEATURES = re.compile(r"[A-Za-z0-9_]{1,60}")
_ROTATION_ERROR = 1e-3  # of R times its transpose, against the identity


@dataclass(frozen=True)
class Source:
    """The image that a view was made from.

    size    (height, width) px
    load    its pixels, uint8 [height,width,3] RGB; exports call it when they write the image
    window  (left, top, width, height) px, the part of the image that the view shows; None is all
    """

    size: Size
    load: Callable[[], Pixels]
    window: Optional[tuple[float, float, float, float]] = None

    def __post_init__(self) -> None:
        height, width = self.size
        if not (height > 0 and width > 0):
            raise InputError(f"a source of {width} x {height} px: expected sides over 0")
        left, top, wide, high = self.part
        inside = left >= 0 and top >= 0 and left + wide <= width and top + high <= height
        if not (inside and wide > 0 and high > 0):
            raise InputError(
                f"window {self.window} of a source of {width} x {height} px: expected "
                "(left, top, width, height) inside the image"
            )

    @property
    def part(self) -> tuple[float, float, float, float]:
        """The window, whether it is all of the image or not."""
        height, width = self.size
        return self.window or (0.0, 0.0, float(width), float(height))

    def pixels(self) -> Pixels:
        """The pixels. Raises InputError if they have another size than the source says."""
        found = self.load()
        if found.dtype != np.uint8 or found.shape != (*self.size, 3):
            raise InputError(
                f"a source's pixels are {found.dtype} {found.shape}: expected uint8 "
                f"{(*self.size, 3)}"
            )
        return found


@dataclass(frozen=True, eq=False)
class Scene:
    """Views in one space. Raises InputError for parts that do not belong together.

    depth       [S,H,W] float32, distances along the optical axes; 0 where there is none
    extrinsics  [S,3,4] float64, world to camera
    intrinsics  [S,3,3] float64, px of the depth maps: fx, fy, cx, cy; no skew
    names       of the views, as image files have them; each once
    provenance  how it was made
    unit        `m` or None: of depth and of the translations
    confidence  [S,H,W] float32, larger is surer, or None
    sky         [S,H,W] bool, or None
    images      [S,H,W,3] uint8 RGB at the size of the depth maps, or None
    sources     the image of each view, or None
    features    [S,h,w,C] float32 by the names of blocks of the network
    gaussians   those of all pixels, S*H*W, view by view, in the scene's world
    assumed     what nobody knows of the cameras, in words, or None: they are known or predicted
    """

    depth: FloatArray
    extrinsics: Doubles
    intrinsics: Doubles
    names: tuple[str, ...]
    provenance: Provenance
    unit: Optional[str] = None
    confidence: Optional[FloatArray] = None
    sky: Optional[Mask] = None
    images: Optional[Pixels] = None
    sources: Optional[tuple[Source, ...]] = None
    features: Mapping[str, FloatArray] = field(default_factory=dict)
    gaussians: Optional[Gaussians] = None
    assumed: Optional[str] = None

    def __post_init__(self) -> None:
        _check_array("depth", self.depth, np.float32, None)
        shape = self.depth.shape
        if not (np.isfinite(self.depth).all() and (self.depth >= 0).all()):
            raise InputError("depth of a scene: expected finite numbers, 0 or larger")
        if self.confidence is not None:
            _check_array("confidence", self.confidence, np.float32, shape)
            if not np.isfinite(self.confidence).all():
                raise InputError("confidence of a scene: expected finite numbers")
        if self.sky is not None:
            _check_array("sky", self.sky, np.bool_, shape)
        if self.images is not None:
            _check_array("images", self.images, np.uint8, (*shape, 3))
        if self.unit not in (None, METRE):
            raise InputError(f"unit {self.unit!r} of a scene: expected {METRE!r} or None")
        _check_array("extrinsics", self.extrinsics, np.float64, (len(self), 3, 4))
        _check_array("intrinsics", self.intrinsics, np.float64, (len(self), 3, 3))
        for view in range(len(self)):
            _check_rotation(view, self.extrinsics[view])
            _check_intrinsics(view, self.intrinsics[view])
        _check_names(self.names, len(self))
        if self.sources is not None and len(self.sources) != len(self):
            raise InputError(f"{len(self.sources)} sources of {len(self)} views: expected as many")
        for name, values in self.features.items():
            _check_features(name, values, len(self))
        if self.gaussians is not None and len(self.gaussians) != self.depth.size:
            raise InputError(
                f"{len(self.gaussians)} Gaussians of a scene: expected one for each of "
                f"{self.depth.size} pixels"
            )

    def __len__(self) -> int:
        return len(self.depth)

    @property
    def size(self) -> Size:
        """(height, width) px of the depth maps."""
        return self.depth.shape[1], self.depth.shape[2]


def _check_array(
    name: str, values: npt.NDArray[Any], dtype: type[np.generic], shape: Optional[Sequence[int]]
) -> None:
    """Of a shape, or, without any, of three sides that are not 0."""
    expected = tuple(shape) if shape is not None else "[S,H,W]"
    fits = values.shape == expected if shape is not None else values.ndim == 3 and values.size > 0
    if values.dtype != dtype or not fits:
        raise InputError(
            f"{name} of a scene: {values.dtype} {values.shape}, expected "
            f"{np.dtype(dtype)} {expected}"
        )


def _check_rotation(view: int, extrinsics: Doubles) -> None:
    rotation = extrinsics[:, :3]
    if not np.isfinite(extrinsics).all():
        raise InputError(f"extrinsics of view {view}: expected finite numbers")
    error = np.abs(rotation @ rotation.T - np.eye(3)).max()
    if error > _ROTATION_ERROR or np.linalg.det(rotation) < 0:
        raise InputError(
            f"extrinsics of view {view}: the first three columns are no rotation (world to camera, "
            "axes of OpenCV; a mirrored axis is none)"
        )


def _check_intrinsics(view: int, matrix: Doubles) -> None:
    fits = np.isfinite(matrix).all() and matrix[0, 0] > 0 and matrix[1, 1] > 0
    zeros = matrix[0, 1], matrix[1, 0], matrix[2, 0], matrix[2, 1]
    if not fits or any(zeros) or matrix[2, 2] != 1:
        raise InputError(
            f"intrinsics of view {view}: expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in px, "
            "fx and fy over 0"
        )


def _check_names(names: Sequence[str], count: int) -> None:
    if len(names) != count:
        raise InputError(f"{len(names)} names of {count} views: expected as many")
    for name in names:
        if not name.isprintable() or set(name) & set('/\\"') or name.startswith("."):
            raise InputError(f"view name {name!r}: expected the name of an image, without a folder")
        if not 0 < len(name.encode()) <= _NAME_BYTES:
            raise InputError(f"view name {name[:40]!r}: expected 1 to {_NAME_BYTES} bytes")
    folded = [name.casefold() for name in names]  # some file systems take A and a for the same
    for name in names:
        if folded.count(name.casefold()) > 1:
            raise InputError(f"view name {name!r}: two views have it; expected different names")


def _check_features(name: str, values: FloatArray, views: int) -> None:
    if not _FEATURES.fullmatch(name):
        raise InputError(f"features {name[:40]!r} of a scene: expected a name such as feat_layer_5")
    if values.dtype != np.float32 or values.ndim != 4 or len(values) != views or not values.size:
        raise InputError(
            f"{name} of a scene: {values.dtype} {values.shape}, expected float32 [{views},h,w,C]"
        )


def about(scene: Scene) -> dict[str, Any]:
    """What the files of a scene say of it: JSON without NaN."""
    return {
        "views": len(scene),
        "unit": scene.unit,
        "pixel_origin": "the corner of the first pixel; its centre is (0.5, 0.5)",
        "camera_axes": "x right, y down, z forward; extrinsics are world to camera",
        "provenance": asdict(scene.provenance),
        **({} if scene.assumed is None else {"assumed": scene.assumed}),
    }
