"""What a Python client of the worker gives: an answer to come, an answer, and errors."""

from __future__ import annotations

import io
import logging
import os
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, Callable, Optional, Union

import numpy as np
import numpy.typing as npt

from serve.sidecar.frames import FrameError
from serve.sidecar.python.workers import AnyWorker

Image = Union[str, "os.PathLike[str]", bytes, npt.NDArray[np.uint8]]

logger = logging.getLogger(__name__)

_RAW = struct.Struct("<8sHBBIIffI")  # the header of the raw form


class SidecarError(Exception):
    """An image failed. `kind`: the worker's name of the error; `retry`: it may work later."""

    def __init__(self, message: str, kind: str = "", retry: bool = False) -> None:
        super().__init__(message)
        self.kind = kind or type(self).__name__
        self.retry = retry


class WorkerLostError(SidecarError):
    """The worker ended, could not be started, or is silent."""


class WaitedTooLongError(SidecarError):
    """No answer came in the time that the caller gave."""


@dataclass(frozen=True)
class Depth:
    """An answer.

    values  float32 [H,W] of `raw`, `shm` and `npy`; None of `json`, `png16` and a preset
    data    the bytes of `json` and `png16`, and of a preset all its files
    facts   values, unit, model, artifact, notes, wall_ms, ...
    """

    values: Optional[npt.NDArray[np.float32]]
    data: bytes
    facts: Mapping[str, Any]

    @property
    def files(self) -> dict[str, bytes]:
        """The files of a preset by name, depth first; {} without a preset."""
        found, begin = {}, 0
        for each in self.facts.get("preset", {}).get("files", ()):
            end = begin + each["size_bytes"]
            found[each["name"]] = self.data[begin:end]
            begin = end
        return found


@dataclass(eq=False)
class Pending:
    """An answer to come."""

    name: str
    header: Mapping[str, Any]
    payload: bytes
    give_up: Callable[[Pending], None]
    on_progress: Optional[Callable[[str, int], None]] = None
    times_sent: int = 0
    sent_to: Optional[AnyWorker] = None
    _done: Event = field(default_factory=Event)
    _answer: Union[Depth, SidecarError, None] = None

    def result(self, timeout_s: Optional[float] = None) -> Depth:
        """Wait for the answer. Raises SidecarError; after WaitedTooLongError it is cancelled."""
        if not self._done.wait(timeout_s):
            self.cancel()
            raise WaitedTooLongError(f"no answer in {timeout_s} s; the request is cancelled")
        if isinstance(self._answer, Depth):
            return self._answer
        raise self._answer or SidecarError("no answer")

    def cancel(self) -> None:
        """Give the image up; `result` then raises SidecarError of kind CancelledError."""
        self.give_up(self)

    def progress(self, stage: str, percent: int) -> None:
        """Tell the caller, whose errors are logged and change nothing."""
        if self.on_progress is not None:
            try:
                self.on_progress(stage, percent)
            except Exception:
                logger.exception("on_progress")

    def done(self) -> bool:
        return self._done.is_set()

    def settle(self, answer: Union[Depth, SidecarError]) -> None:
        self._answer = self._answer or answer
        self._done.set()


def as_request(image: Image) -> tuple[dict[str, Any], bytes]:
    """The part of a request's header that says what the image is, and its payload.

    Raises ValueError for an array that is no image.
    """
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"{image.dtype} {image.shape}: expected uint8 [H,W,3], RGB")
        pixels = {"height": image.shape[0], "width": image.shape[1]}
        return {"pixels": pixels}, np.ascontiguousarray(image).tobytes()
    if isinstance(image, bytes):
        return {}, image
    return {"path": str(Path(image).absolute())}, b""


def depth_of(header: Mapping[str, Any], payload: bytearray) -> Depth:
    """An answer. Shared memory is mapped, and its name removed. Raises OSError, ValueError."""
    kind = header["format"]
    if kind == "shm":
        path = Path(header["shm"]["path"])
        try:
            mapped = np.memmap(path, np.uint8, "r")
        finally:
            path.unlink()
        return Depth(_values(mapped, header), b"", header)
    if kind == "raw":
        return Depth(_values(np.frombuffer(payload, np.uint8), header), b"", header)
    if kind == "npy":
        return Depth(np.load(io.BytesIO(payload), allow_pickle=False), b"", header)
    return Depth(None, bytes(payload), header)


def _values(data: npt.NDArray[np.uint8], header: Mapping[str, Any]) -> npt.NDArray[np.float32]:
    shape = header["height"], header["width"]
    magic, version, _, _, *found = _RAW.unpack_from(data[: _RAW.size].tobytes())
    if (magic, version, *found[:2]) != (b"DEPTHF32", 1, *shape):
        raise FrameError("no raw depth of version 1, or of another size than the frame says")
    return data[_RAW.size :].view("<f4").reshape(shape)


def remove_shared(header: Mapping[str, Any]) -> None:
    """Nobody waits for this answer any more."""
    if header.get("type") == "result" and header.get("format") == "shm":
        with suppress(OSError):
            Path(header["shm"]["path"]).unlink()
