"""What the calls share: the images, and how a request is made of them."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from tests.support.v2_services import pixels, ppm

MODEL = "depth"
IMAGES = pixels(seed=3, count=2)
FILES = np.array([ppm(image) for image in IMAGES], dtype=object)
Outcome = Any
Call = Callable[[Any], Outcome]


def input_of(client: Any, array: Any, name: str = "image", kind: str = "UINT8", **how: Any) -> Any:
    made = client.module.InferInput(name, list(array.shape), kind)
    made.set_data_from_numpy(array, **how)
    return made


def infer_of(client: Any, *inputs: Any, model: str = MODEL, **options: Any) -> Any:
    return client.infer(model, list(inputs) or [input_of(client, IMAGES)], **options)


def as_dict(found: Any) -> Any:
    from google.protobuf.json_format import MessageToDict

    if isinstance(found, (dict, list)):
        return found
    return MessageToDict(found, preserving_proto_field_name=True)
