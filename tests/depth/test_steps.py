"""Host steps after the network: sky, metres, and back to the image's size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from depth.artifact.steps import MetresFromFocal, Normalise, ResizeBack, SkyToFar
from depth.errors import InputError
from depth.family import FOCAL_NORMALISED, METRES, RELATIVE_DEPTH, SKY
from depth.maps.result import FOCAL_PX, Focal, Map
from depth.postprocess import Finishing, resize_depth, step_names
from depth.steps import sky as sky_module
from depth.steps.focal import FocalAsked, focal_for
from depth.steps.sky import quantile, sky_to_far

FAR = SkyToFar(0.3, 0.99, 10, 100_000, seed=0)
METRIC = MetresFromFocal(300.0)
BACK = ResizeBack("bilinear", align_corners=True)
STEPS = (FAR, METRIC, BACK)
SIZE = (28, 42)
FloatArray = npt.NDArray[np.float32]


def maps(kind: str = FOCAL_NORMALISED, size: tuple[int, int] = SIZE) -> dict[str, Map]:
    rng = np.random.default_rng(1)
    depth = (1 + rng.random(size)).astype(np.float32)
    sky = np.zeros(size, np.float32)
    sky[:5] = 1
    return {"depth": Map(depth, kind), "sky": Map(sky, SKY)}


def published(depth: FloatArray, sky: FloatArray) -> FloatArray:
    """`_process_mono_sky_estimation` of upstream's model/da3.py, in torch."""
    ground = torch.from_numpy(sky) < 0.3
    result = torch.from_numpy(depth).clone()
    if ground.sum() <= 10 or (~ground).sum() <= 10:
        return result.numpy()
    values = result[ground]
    if values.numel() > 100000:
        values = values[torch.randint(0, values.numel(), (100000,))]
    result[~ground] = torch.quantile(values, 0.99)
    return result.numpy()


@pytest.mark.parametrize("size", [(28, 42), (28, 28), (392, 504)])
def test_sky_is_as_far_as_upstream_puts_it(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    depth = np.exp(rng.standard_normal(size)).astype(np.float32)
    sky = rng.random(size).astype(np.float32)
    torch.manual_seed(5)
    expected = published(depth, sky)

    def theirs(count: int, most: int, _: int) -> Any:
        torch.manual_seed(5)
        return torch.randint(0, count, (most,)).numpy()

    monkeypatch.setattr(sky_module, "drawn", theirs)
    found = sky_to_far(depth, sky, FAR)
    assert found.dtype == np.float32
    assert np.array_equal(found, expected)


def test_many_values_are_drawn_by_the_seed() -> None:
    rng = np.random.default_rng(3)
    depth = np.exp(rng.standard_normal((400, 500))).astype(np.float32)
    sky = (rng.random((400, 500)) < 0.2).astype(np.float32)
    first = sky_to_far(depth, sky, FAR)
    assert np.array_equal(first, sky_to_far(depth, sky, FAR))
    other = sky_to_far(depth, sky, SkyToFar(0.3, 0.99, 10, 100_000, seed=1))
    far, also = first[sky == 1], other[sky == 1]
    assert len(set(far)) == len(set(also)) == 1
    assert far[0] != also[0]
    assert abs(far[0] / np.quantile(depth[sky == 0], 0.99) - 1) < 0.02
    assert np.array_equal(first[sky == 0], depth[sky == 0])


@pytest.mark.parametrize("count", [0, 10, 28 * 42 - 10, 28 * 42])
def test_too_little_sky_or_ground_changes_nothing(count: int) -> None:
    depth, sky = maps()["depth"].values, np.zeros(SIZE, np.float32)
    sky.reshape(-1)[:count] = 0.3
    assert np.array_equal(sky_to_far(depth, sky, FAR), depth)


def test_eleven_pixels_of_sky_are_enough() -> None:
    depth, sky = maps()["depth"].values, np.zeros(SIZE, np.float32)
    sky.reshape(-1)[:11] = 0.3
    assert not np.array_equal(sky_to_far(depth, sky, FAR), depth)


@pytest.mark.parametrize("count", [1, 2, 3, 101, 5000])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.99, 1.0])
def test_quantile_is_torchs(count: int, share: float) -> None:
    values = np.random.default_rng(count).standard_normal(count).astype(np.float32)
    expected = torch.quantile(torch.from_numpy(values), share).numpy()
    assert abs(quantile(values, share) - expected) <= 1e-6
    values[count // 2] = np.nan
    assert np.isnan(quantile(values, share))


def test_metres_by_hand() -> None:
    focal = Focal(600.0, FOCAL_PX)
    before = maps()
    after = Finishing([METRIC])(before, None, focal)
    assert after["depth"].kind == METRES
    assert np.array_equal(after["depth"].values, 2 * before["depth"].values)
    assert after["sky"] is before["sky"]


def test_depth_of_another_kind_never_becomes_metres() -> None:
    before = maps(RELATIVE_DEPTH)
    focal = Focal(600.0, FOCAL_PX)
    assert Finishing([METRIC])(before, None, focal) == before


def test_without_a_focal_length_depth_says_what_to_divide_by() -> None:
    before = maps()
    after = Finishing([METRIC])(before, None)
    assert after["depth"] == replace(before["depth"], focal_divisor=METRIC.divisor)
    assert after["sky"] is before["sky"]


def test_every_map_goes_back_to_the_image_s_size() -> None:
    before = maps()
    after = Finishing([BACK])(before, (61, 83))
    for name, found in after.items():
        assert np.array_equal(found.values, resize_depth(before[name].values, (61, 83)))
        assert found.kind == before[name].kind
    assert Finishing([BACK])(before, None) == before


def test_sky_is_put_far_before_metres_and_the_resize() -> None:
    before = maps()
    focal = Focal(150.0, FOCAL_PX)
    after = Finishing(STEPS)(before, (56, 84), focal)["depth"].values
    far = sky_to_far(before["depth"].values, before["sky"].values, FAR)
    assert np.allclose(after, resize_depth(far / 2, (56, 84)), rtol=1e-6)


def test_one_scene_at_two_source_sizes_has_equal_metres() -> None:
    """The same picture at half the pixels has half the focal length, and the network the same."""
    found = []
    for image_size, focal_px in (((1000, 1500), 1200.0), ((500, 750), 600.0)):
        focal = focal_for(FocalAsked(focal_px=focal_px), None, image_size, SIZE)
        found.append(Finishing(STEPS)(maps(), None, focal)["depth"].values)
    assert np.array_equal(*found)


def test_names_of_what_ran() -> None:
    assert step_names(STEPS, True, True) == (
        "sky_to_far(seed=0)",
        "metres_from_focal",
        "resize_back",
    )
    assert step_names(STEPS, False, False) == ("sky_to_far(seed=0)",)


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (ResizeBack("nearest", True), "resize_back by nearest"),
        (ResizeBack("bilinear", False), "align_corners False"),
        (Normalise((0.5,) * 3, (0.5,) * 3), "'normalise': this version does not do it after"),
    ],
)
def test_unknown_work_is_refused(step: Any, text: str) -> None:
    with pytest.raises(InputError, match=text):
        Finishing([step])


def test_a_map_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match="no output 'sky', only depth"):
        Finishing([FAR])({"depth": maps()["depth"]}, (1, 1))
