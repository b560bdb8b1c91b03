"""Inference: the images of a request through a model, and their maps in stacks."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable

import numpy as np

from depth.errors import ImageError, InputError
from depth.images.containers import parse_header
from depth.images.given import Held, hold
from depth.images.header import MAX_PIXELS
from depth.images.read import MAX_FILE_BYTES
from depth.maps.result import FULL, Map
from depth.sizes import Size
from serve.jobs.stage import Asked, ImageResult
from serve.service.model import Model
from serve.service.models import UnknownModelError
from serve.service.v2.request import ENCODED, IMAGE, VERSION, InferRequest, asked_of
from serve.service.v2.tensors import BYTES, Tensor

MAX_IMAGES = 16  # of one request
MAX_ANSWER_BYTES = 1_000_000_000  # of all maps of one request


@dataclass(frozen=True)
class InferAnswer:
    """The answer to a request for inference.

    parameters  of the whole answer: artifact, model, target, precision
    meanings    of each output: kind, unit and what else says what its numbers are
    timing_ms   of read, wait and network, over all images together, and of output
    """

    request: InferRequest
    parameters: Mapping[str, str]
    outputs: Sequence[Tensor]
    meanings: Mapping[str, Mapping[str, str]]
    timing_ms: Mapping[str, float]


@dataclass(frozen=True)
class Plan:
    """The work of a request, checked. `size` is (height, width) px of every map."""

    request: InferRequest
    images: Sequence[Held]
    asked: Asked
    outputs: Sequence[str]
    size: Size

    @contextmanager
    def submitted(self, model: Model) -> Iterator[list[Future[ImageResult]]]:
        """Each image in the model's queue. At the end, images that have not begun are dropped.

        Raises QueueFullError or ClosedError, and then no image is left in the queue.
        """
        futures: list[Future[ImageResult]] = []
        try:
            for image in self.images:
                futures.append(model.submit(self._work(model, image)))
            yield futures
        finally:
            for future in futures:
                future.cancel()

    def answer(self, results: Sequence[ImageResult]) -> InferAnswer:
        """The answer of one result per image, in their order."""
        begun_s = time.monotonic()
        first = results[0].provenance
        parameters = {
            "artifact": first.artifact,
            "model": first.model,
            "target": first.target,
            "precision": first.precision,
        }
        outputs = [_stacked(name, results) for name in self.outputs]
        meanings = {name: _meaning(name, results) for name in self.outputs}
        timing_ms = {
            what: sum(result.timing_ms[what] for result in results)
            for what in ("read", "wait", "network")
        }
        timing_ms["output"] = (time.monotonic() - begun_s) * 1e3
        return InferAnswer(self.request, parameters, outputs, meanings, timing_ms)

    def _work(self, model: Model, image: Held) -> Callable[[], ImageResult]:
        return lambda: model.stage.result(image, self.asked)


def check_version(model: str, version: str) -> None:
    """Raises UnknownModelError for any version but the only one."""
    if version not in ("", VERSION):
        shown = repr(version)[:50]
        raise UnknownModelError(f"model {model!r} has no version {shown}, only {VERSION}")


def planned(model: Model, request: InferRequest, limit_s: float) -> Plan:
    """The work of a request for this model. Its images have to begin within `limit_s`.

    Raises InputError for what no work can be made of, ImageError for an image, NoProgramError.
    """
    asked = asked_of(request.parameters, limit_s)
    outputs = _outputs(model, request.outputs)
    images, sizes = _images(request.inputs)
    if not 1 <= len(images) <= min(MAX_IMAGES, model.most):
        raise InputError(
            f"{len(images)} images in a request: expected 1 to {min(MAX_IMAGES, model.most)}"
        )
    engine = model.stage.engine
    if (asked.output_size or engine.output_size) != FULL:
        sizes = [engine.size_for(*size) for size in sizes]
    if len(set(sizes)) > 1:
        shown = ", ".join(f"{height}x{width}" for height, width in dict.fromkeys(sizes))
        raise InputError(
            f"the maps of these images are of different sizes ({shown} px) and make no tensor: "
            "send one request per size"
        )
    height, width = sizes[0]
    maps = len(model.manifest.outputs)
    needed_bytes = len(images) * maps * height * width * 4
    if needed_bytes > MAX_ANSWER_BYTES:
        raise InputError(
            f"the answer would take {needed_bytes / 1e6:.0f} MB, over the limit of "
            f"{MAX_ANSWER_BYTES / 1e6:.0f} MB: send fewer images, or output_size=model"
        )
    return Plan(request, images, asked, outputs, (height, width))


def _outputs(model: Model, wanted: Sequence[str]) -> list[str]:
    have = [output.name for output in model.manifest.outputs]
    for name in wanted:
        if name not in have:
            shown = name[:100]
            raise InputError(f"no output {shown!r}: model {model.name} has {', '.join(have)}")
    if len(set(wanted)) < len(wanted):
        raise InputError("an output is named twice")
    return list(wanted) or have


def _images(inputs: Sequence[Tensor]) -> tuple[list[Held], list[Size]]:
    """Images of a request, and the (height, width) px of each, before any pixel is decoded."""
    names = [tensor.name for tensor in inputs]
    if names not in ([IMAGE], [ENCODED]):
        shown = ", ".join(repr(name[:50]) for name in names[:5]) or "none"
        raise InputError(f"inputs are {shown}: expected either {IMAGE} or {ENCODED}")
    (tensor,) = inputs
    return _of_pixels(tensor) if tensor.name == IMAGE else _of_files(tensor)


def _of_pixels(tensor: Tensor) -> tuple[list[Held], list[Size]]:
    shape = list(tensor.shape)
    if tensor.datatype != "UINT8" or len(shape) != 4 or shape[-1] != 3 or 0 in shape:
        raise InputError(
            f"input {IMAGE}: {tensor.datatype} {shape}, expected UINT8 [images,height,width,3], RGB"
        )
    count, height, width, _ = shape
    if height * width > MAX_PIXELS:
        raise InputError(f"input {IMAGE}: {width}x{height} px is over {MAX_PIXELS} pixels")
    # Pixels are copied by the thread that works on the image.
    images = [Held("", _opening(tensor.values[i])) for i in range(count)]
    return images, [(height, width)] * count


def _opening(pixels: Any) -> Callable[[], Any]:
    return lambda: hold(pixels).open()


def _of_files(tensor: Tensor) -> tuple[list[Held], list[Size]]:
    if tensor.datatype != BYTES or len(tensor.shape) != 1:
        raise InputError(
            f"input {ENCODED}: {tensor.datatype} {list(tensor.shape)}, expected BYTES [images]: "
            "the bytes of image files"
        )
    images, sizes = [], []
    for i, element in enumerate(tensor.values):
        where = f"input {ENCODED}, image {i}"
        data = _from_base64(where, element) if tensor.text else element
        if not data or len(data) > MAX_FILE_BYTES:
            raise ImageError(f"{where}: {len(data)} bytes, expected the bytes of an image file")
        try:
            header = parse_header(data)
        except ImageError as error:
            raise ImageError(f"{where}: {error}") from error
        images.append(hold(data))
        sizes.append((header.height_px, header.width_px))
    return images, sizes


def _from_base64(where: str, text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InputError(
            f"{where}: in JSON, expected the image file in base64; or send binary tensor data"
        ) from None


def _stacked(name: str, results: Sequence[ImageResult]) -> Tensor:
    maps = [result.maps[name].values for result in results]
    values = np.stack(maps) if len(maps) > 1 else maps[0][np.newaxis]
    return Tensor(name, "FP32", values.shape, values)


def _meaning(name: str, results: Sequence[ImageResult]) -> dict[str, str]:
    """What the numbers of an output are: parameters that every client can read."""
    kinds = {result.maps[name].kind for result in results}
    if len(kinds) > 1:  # some files name a focal length and some do not
        raise InputError(
            f"{name} of these images would be of kinds {', '.join(sorted(kinds))}: send focal_px "
            "or fov_deg, or one image per request"
        )
    found: Map = results[0].maps[name]
    said = {"kind": found.kind, "unit": found.unit or ""}
    if found.focal_divisor is not None:
        said["focal_divisor"] = repr(found.focal_divisor)
    focals = [result.focal for result in results]
    if all(focals):
        said["focal_px"] = ",".join(repr(focal.px) for focal in focals if focal)
        said["focal_source"] = ",".join(focal.source for focal in focals if focal)
    return said
