"""Depth in the shape of the `transformers` pipeline, so that code written for it runs unchanged.

from depth_anything import pipeline

pipe = pipeline("depth-estimation", model="depth-anything/Depth-Anything-V2-Small-hf")
found = pipe("a.jpg")  # {"predicted_depth": torch.Tensor [H,W], "depth": 8-bit PIL image}

Source: `transformers` 4.57.6, pipelines/depth_estimation.py and pipelines/base.py.
"""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, Optional, overload

import numpy as np
from PIL import Image

from depth.errors import ImageError, InputError
from depth.images.given import Given
from depth.images.read import MAX_FILE_BYTES, ImageFile
from depth.maps.result import FloatArray
from depth_anything.model_pipeline import DepthPipeline
from depth_anything.transformers_names import source_of
from serve.pipeline import ImageResult
from serve.sources import Place, check_choice

TASK = "depth-estimation"
PT, NP = "pt", "np"  # of `framework`: torch.Tensor, or numpy array

_DATA_URI = "data:image/"
_MAX_TEXT = MAX_FILE_BYTES * 4 // 3 + 4  # characters, of base64
_LEAST = MappingProxyType({"batch_size": 1, "num_workers": 0, "timeout": 0})  # options of calls
_CPU_ONLY = "this project runs on CPUs; serve an artifact of inf1 or inf2 on its device"
_OWN = "the model brings its own"
# Options of transformers.pipeline: the values that ask for what happens here, and why no other.
_OPTIONS: Mapping[str, tuple[tuple[str, ...], str]] = MappingProxyType(
    {
        "device": (("None", "-1", "cpu"), _CPU_ONLY),
        "device_map": (("None", "auto", "cpu"), _CPU_ONLY),
        "dtype": (("None", "auto", "float32"), 'precision="bf16" asks for other arithmetic'),
        "torch_dtype": (("None", "auto", "float32"), 'precision="bf16" asks for other arithmetic'),
        "use_fast": (("None", "True", "False"), "there is one pre-processing, upstream's"),
        "trust_remote_code": (("None", "False", "True"), "no code is ever downloaded"),
        "revision": (("None", "main"), "published weights are pinned by their sha256"),
        "token": (("None",), "published weights need none"),
        "config": (("None",), _OWN),
        "image_processor": (("None",), _OWN),
        "feature_extractor": (("None",), _OWN),
        "processor": (("None",), _OWN),
        "tokenizer": (("None",), "there is no text"),
        "model_kwargs": (("None", "{}"), "name options of DepthPipeline themselves"),
        "pipeline_class": (("None",), "there is one class"),
    }
)


class Depth(dict[str, Any]):
    """What a call gives for an image: the two keys of `transformers`, and our whole result.

    predicted_depth  float32 [H,W] at the image's size: torch.Tensor, or numpy array
    depth            8-bit PIL image, from 0 at the lowest value to 255 at the highest
    result           kind, unit, other maps, provenance; `result.save` writes files
    """

    def __init__(self, result: ImageResult, framework: str) -> None:
        values = result.depth.values
        super().__init__(predicted_depth=_tensor(values, framework), depth=_picture(values))
        self.result = result


class DatasetDepths:
    """The depth of each image of a data set, made as it is taken. As often as it is iterated."""

    def __init__(self, pipe: DepthEstimationPipeline, dataset: Any) -> None:
        self._pipe = pipe
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def __iter__(self) -> Iterator[Depth]:
        return self._pipe.stream(self._dataset[index] for index in range(len(self)))


class DepthEstimationPipeline(AbstractContextManager["DepthEstimationPipeline"]):
    """Called as the class of this name in `transformers`. `pipeline` makes it.

    inputs       an image, or a list, a generator or a torch data set of images. An image is a path,
                 base64 text of a file, or what `DepthPipeline` takes. A URL is refused
    images       the older name of `inputs`
    batch_size, num_workers   numbers; what runs together is decided by the artifact's programs
    timeout      seconds, also in `parameters`; a call opens no connection, so nothing waits

    An image gives a `Depth`, a list a list, a generator or a data set an iterator. Raises
    InputError for what is no image, and what `DepthPipeline` raises.
    """

    task = TASK

    def __init__(self, pipeline: DepthPipeline, framework: str) -> None:
        self.pipeline = pipeline
        self.framework = framework

    @overload
    def __call__(self, inputs: list[Any], **options: Any) -> list[Depth]: ...
    @overload
    def __call__(self, inputs: Given, **options: Any) -> Depth: ...
    @overload
    def __call__(self, inputs: Any = ..., **options: Any) -> Any: ...
    def __call__(self, inputs: Any = None, **options: Any) -> Any:
        """See the class."""
        older = options.pop("images", None)
        given = older if inputs is None else inputs
        _check_call(options)
        if given is None:
            raise InputError("no image: expected a path, an image, or several")
        if isinstance(given, (list, tuple)):
            return list(self.stream(given))
        if _is_dataset(given) and hasattr(given, "__len__"):
            return DatasetDepths(self, given)
        if _is_dataset(given) or isinstance(given, Iterator):
            return self.stream(given)
        return Depth(self.pipeline(_given(given)), self.framework)

    def stream(self, images: Iterable[Any]) -> Generator[Depth, None, None]:
        """The depth of each image, in order. Takes a bounded number of images ahead."""
        for result in self.pipeline.stream(_given(image) for image in images):
            yield Depth(result, self.framework)

    def close(self) -> None:
        """Finish what runs; later calls raise ClosedError."""
        self.pipeline.close()

    def __exit__(self, *_raised: object) -> None:
        self.close()


def pipeline(
    task: Optional[str] = None,
    model: Optional[Place] = None,
    *,
    framework: Optional[str] = None,
    **options: Any,
) -> DepthEstimationPipeline:
    """Make a depth pipeline with the call of `transformers.pipeline`.

    task       `depth-estimation`, or None
    model      a name on the hub such as `depth-anything/Depth-Anything-V2-Small-hf`, a folder that
               `save_pretrained` wrote, or what `DepthPipeline` takes: `vits`, the folder of an
               artifact. By default as `DepthPipeline`
    framework  `pt` gives torch.Tensor, `np` numpy arrays; by default `pt` where torch is installed
    options    of `DepthPipeline`, such as target, precision and policy. Options of
               `transformers.pipeline` are taken if they ask for what happens here

    Raises InputError for another task, and for an option with the reason; and what `DepthPipeline`
    raises.
    """
    if task not in (None, TASK):
        raise InputError(f"task {task!r}: expected {TASK}")
    if framework is None:
        framework = PT if find_spec("torch") else NP
    check_choice("framework", framework, (PT, NP))
    _check_call({name: options.pop(name) for name in _LEAST if name in options})
    for name in sorted(options.keys() & _OPTIONS.keys()):
        value, (accepted, reason) = options.pop(name), _OPTIONS[name]
        if str(value).replace("torch.", "") not in accepted:
            raise InputError(f"{name}={value!r}: expected {' or '.join(accepted)}; {reason}")
    source, own = source_of(model)
    return DepthEstimationPipeline(DepthPipeline(source, **{**own, **options}), framework)


def _check_call(options: Mapping[str, Any]) -> None:
    """Raises InputError for an option of a call that there is not, or that is no number."""
    options = dict(options)
    parameters = options.pop("parameters", None) or {}
    for where, found, known in (
        ("", options, sorted(_LEAST)),
        ("parameters: ", parameters, ["timeout"]),
    ):
        for name, value in found.items():
            if name not in known:
                raise InputError(f"{where}{name}={value!r}: expected {', '.join(known)}")
            kinds = (int, float) if name == "timeout" else (int,)
            if value is not None and not (isinstance(value, kinds) and value >= _LEAST[name]):
                raise InputError(f"{name}={value!r}: expected a number, {_LEAST[name]} or more")


def _is_dataset(given: object) -> bool:
    """Whether it is a data set of torch; nobody has such an object without having torch loaded."""
    data = sys.modules.get("torch.utils.data")
    return data is not None and isinstance(given, data.Dataset)


def _given(image: Any) -> Any:
    """The image, base64 text decoded. Text that names a file is a path."""
    if not isinstance(image, str) or os.path.lexists(image) or "://" in image:
        return image
    uri = image.startswith(_DATA_URI)
    text = image.partition(",")[2] if uri else image
    if len(text) > _MAX_TEXT:
        raise ImageError(f"base64 text of {len(text)} characters: expected {_MAX_TEXT} at most")
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except ValueError as error:
        if uri:
            raise ImageError(f"{image[:40]!r}...: damaged base64 text: {error}") from error
        return image
    return data if uri or _is_image(data) else image


def _is_image(data: bytes) -> bool:
    try:
        return bool(ImageFile(data, "base64 text").header)
    except InputError:
        return False


def _tensor(values: FloatArray, framework: str) -> Any:
    """A copy, which the caller may change."""
    if framework == NP:
        return values.copy()
    import torch

    return torch.tensor(values)


def _picture(values: FloatArray) -> Image.Image:
    low, high = values.min(), values.max()
    if low == high:  # transformers divides by zero
        return Image.fromarray(np.zeros(values.shape, np.uint8))
    return Image.fromarray(((values - low) / (high - low) * 255).astype(np.uint8))
