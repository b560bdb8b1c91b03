"""Upstream's Python API: the class takes its arguments and its checkpoints."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from depth.errors import CheckpointError, InputError
from depth_anything_v2.config import CONFIGS
from depth_anything_v2.dpt import DepthAnythingV2
from tests.support.models import network, to_upstream, weights

DEMO: dict[str, Any] = {"encoder": "demo", "features": 32, "out_channels": [24, 48, 96, 192]}
PHOTO = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def checkpoint() -> dict[str, Tensor]:
    return to_upstream(weights(CONFIGS["demo"]))


@pytest.fixture(scope="module")
def model(checkpoint: dict[str, Tensor]) -> DepthAnythingV2:
    made = DepthAnythingV2(**DEMO)
    made.load_state_dict(checkpoint)
    return made.eval()


def test_the_published_lines_work(model: DepthAnythingV2) -> None:
    depth = model.infer_image(PHOTO, 56)
    assert depth.shape == PHOTO.shape[:2]
    assert depth.dtype == np.float32
    assert depth.std() > 0


def test_infer_image_is_the_published_steps_one_by_one(model: DepthAnythingV2) -> None:
    rgb = cv2.resize(PHOTO[:, :, ::-1] / 255.0, (84, 56), interpolation=cv2.INTER_CUBIC)
    normal = (rgb - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    image = torch.from_numpy(normal.transpose(2, 0, 1)[None].astype(np.float32))
    small = network(CONFIGS["demo"], (56, 84))(image)
    whole = torch.nn.functional.interpolate(
        small[None], (60, 90), mode="bilinear", align_corners=True
    )[0, 0].numpy()
    assert np.abs(model.infer_image(PHOTO, 56) - whole).max() <= 1e-5 * whole.max()


def test_image2tensor(model: DepthAnythingV2) -> None:
    tensor, size = model.image2tensor(PHOTO, 56)
    assert tensor.shape == (1, 3, 56, 84)
    assert size == (60, 90)


def test_forward_follows_the_size_of_its_input(model: DepthAnythingV2) -> None:
    for height, width in ((28, 42), (42, 28), (28, 42)):
        assert model(torch.zeros(2, 3, height, width)).shape == (2, height, width)
    with pytest.raises(InputError, match="height 30 px: must be a multiple of 14; nearest is 28"):
        model(torch.zeros(1, 3, 30, 42))


def test_a_saved_model_loads_again(model: DepthAnythingV2) -> None:
    again = DepthAnythingV2(**DEMO)
    again.load_state_dict(model.state_dict())
    assert np.array_equal(again.eval().infer_image(PHOTO, 56), model.infer_image(PHOTO, 56))


def test_new_weights_take_effect_at_the_size_in_use(
    model: DepthAnythingV2, checkpoint: dict[str, Tensor]
) -> None:
    made = DepthAnythingV2(**DEMO).eval()
    before = made.infer_image(PHOTO, 56)
    made.load_state_dict(checkpoint)
    assert not np.allclose(made.infer_image(PHOTO, 56), before)
    assert np.array_equal(made.infer_image(PHOTO, 56), model.infer_image(PHOTO, 56))


def test_max_depth_makes_the_metric_model(checkpoint: dict[str, Tensor]) -> None:
    made = DepthAnythingV2(**DEMO, max_depth=20)
    made.load_state_dict(checkpoint)
    depth = made.eval().infer_image(PHOTO, 56)
    assert 0 < depth.min() < depth.max() < 20


def test_a_checkpoint_is_loaded_in_the_entries_of_a_trainer(checkpoint: dict[str, Tensor]) -> None:
    plain, wrapped = DepthAnythingV2(**DEMO), DepthAnythingV2(**DEMO)
    plain.load_state_dict(checkpoint)
    inner = {f"model.{name}": tensor for name, tensor in checkpoint.items()}
    wrapped.load_state_dict({"epoch": 3, "state_dict": inner})
    theirs = wrapped.state_dict()
    assert all(torch.equal(theirs[name], tensor) for name, tensor in plain.state_dict().items())


@pytest.mark.parametrize("image", [None, "a.jpg", [[0]], np.zeros((), np.uint8)])
def test_what_is_no_array_of_an_image_is_refused_in_words(image: Any) -> None:
    with pytest.raises(InputError, match=r"raw_image is .*cv2.imread gives None"):
        DepthAnythingV2(**DEMO).infer_image(image)


def test_a_checkpoint_of_another_size_is_refused(checkpoint: dict[str, Tensor]) -> None:
    made = DepthAnythingV2(encoder="vits", features=64, out_channels=[48, 96, 192, 384])
    with pytest.raises(CheckpointError, match="looks like 'demo'"):
        made.load_state_dict(checkpoint)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"encoder": "vitx"}, f"encoder 'vitx': choose from {', '.join(CONFIGS)}"),
        ({**DEMO, "out_channels": [1, 2, 3]}, r"out_channels \(1, 2, 3\): expected four"),
        ({**DEMO, "use_bn": True}, "no published checkpoint has them; leave out"),
        ({**DEMO, "use_clstoken": True}, "no published checkpoint has them"),
    ],
)
def test_arguments_that_no_network_has_are_refused(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        DepthAnythingV2(**arguments)
