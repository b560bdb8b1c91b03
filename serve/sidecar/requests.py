"""What a client asks of a worker, checked: the headers of its frames."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from depth.artifact.strict_json import decode
from depth.errors import InputError
from depth.images.given import Held, hold
from depth.maps.result import OUTPUT_SIZES
from depth.steps.focal import FocalAsked
from serve.jobs.stage import Asked
from serve.sidecar.formats import FORMATS, JSON, RAW
from serve.sidecar.values import NATIVE, NEAR1, VALUES

PRESET = "preset"  # the format of an answer with the files of a preset
DEPTH, CANCEL, PING, SHUTDOWN = "depth", "cancel", "ping", "shutdown"
TYPES = (DEPTH, CANCEL, PING, SHUTDOWN)

_ID = re.compile(r"[ -~]{1,64}")


@dataclass(frozen=True)
class Pixels:
    """The payload is pixels, uint8 [height,width,3], RGB."""

    height: int
    width: int


@dataclass(frozen=True)
class DepthRequest:
    """One image. Its bytes are the payload, unless `path` names a file on this machine.

    format       one of FORMATS, or PRESET
    values       `near1` or `native`; None: near1 for json, else native
    output_size  `full` or `model`; None leaves it to the worker
    preset       of depth/presets, in place of format and values
    deadline_s   the network has to begin so long after the request arrived
    """

    id: str
    format: str
    values: Optional[str]
    output_size: Optional[str]
    focal_px: Optional[float]
    deadline_s: Optional[float]
    path: Optional[str]
    pixels: Optional[Pixels]
    preset: Optional[str]

    @property
    def wanted(self) -> str:
        return self.values or (NEAR1 if self.format == JSON else NATIVE)

    def asked(self, arrived_s: float) -> Asked:
        """For the stage. Raises InputError for a focal length that no camera has."""
        focal = None if self.focal_px is None else FocalAsked(self.focal_px)
        return Asked(focal, self.output_size, self.deadline_s, arrived_s)

    def image(self, payload: Union[bytes, bytearray]) -> Held:
        """The image, which is not decoded yet. Raises InputError if it is not one image."""
        if (self.path is None) == (not payload):
            raise InputError("expected either an image as the payload, or its path")
        if self.pixels is not None:
            return hold(_array(self.pixels, payload))
        return hold(payload if self.path is None else Path(self.path))


_OPTIONAL: Mapping[str, Any] = {
    "format": RAW,
    **dict.fromkeys(("values", "output_size", "focal_px", "deadline_s")),
    **dict.fromkeys(("path", "pixels", "preset")),
}


def depth_request(fields: Mapping[str, Any]) -> DepthRequest:
    """A request from the header of its frame, without `type`. Raises InputError."""
    try:
        found = decode(DepthRequest, {**_OPTIONAL, **fields})
    except ValueError as error:
        raise InputError(f"a request's {error}") from error
    checked_id(found.id)
    if found.preset is not None and not {"format", "values"}.isdisjoint(fields):
        raise InputError(f"preset {found.preset:.100}: says the format; leave format, values out")
    for what, given, known in (
        ("format", found.format, FORMATS),
        ("values", found.wanted, VALUES),
        ("output_size", found.output_size or OUTPUT_SIZES[0], OUTPUT_SIZES),
    ):
        if given not in known:
            raise InputError(f"{what} {given!r}: expected one of {', '.join(known)}")
    if found.deadline_s is not None and found.deadline_s <= 0:
        raise InputError(f"deadline_s {found.deadline_s}: must be above 0")
    if found.path is not None and (found.pixels or not Path(found.path).is_absolute()):
        raise InputError(f"path {found.path!r}: expected an absolute path, and no pixels")
    return found if found.preset is None else replace(found, format=PRESET)


def checked_id(given: object) -> str:
    """An id that a client may give. Raises InputError for any other."""
    if isinstance(given, str) and _ID.fullmatch(given):
        return given
    raise InputError(f"id {given!r:.100}: expected 1 to 64 printable ASCII characters")


def _array(pixels: Pixels, payload: Union[bytes, bytearray]) -> Any:
    shape = pixels.height, pixels.width, 3
    if min(shape) < 1 or len(payload) != pixels.height * pixels.width * 3:
        raise InputError(f"{len(payload)} bytes for pixels {shape}: expected uint8 [H,W,3]")
    return np.frombuffer(payload, np.uint8).reshape(shape)
