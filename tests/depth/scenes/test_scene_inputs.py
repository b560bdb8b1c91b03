"""Images of a scene as network inputs of one size, and the names of their views."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from depth.artifact.steps import Normalise, Resize
from depth.errors import InputError
from depth.preprocess import Preparation
from depth.scenes.inputs import GROUP, METHODS, Inputs, Pixels, Plan, planned
from depth.scenes.names import names_of
from depth.sizes import TWICE, UPPER, Size, SizeRule
from tests.support.hostile import picture

RULE = SizeRule(UPPER, 504, 14, TWICE)
STEPS = (Resize("cubic", "area", "uint8", 2), Normalise((0.5, 0.4, 0.3), (0.2, 0.3, 0.4)))
LANDSCAPE, PORTRAIT = (60, 90), (90, 60)


def plan(*sizes: Size, method: str = "upper_bound_resize", mixed: str = "crop") -> Plan:
    return planned(sizes, RULE, 84, method, mixed)


def pixels(height: int, width: int) -> Pixels:
    """BGR."""
    return np.ascontiguousarray(np.asarray(picture(height, width))[:, :, ::-1])


def test_a_plan_gives_images_of_several_sizes_the_least_height_and_width() -> None:
    found = plan(LANDSCAPE, PORTRAIT, LANDSCAPE)
    assert (found.size, found.views) == ((56, 56), (0, 1, 2))
    assert [place.cut for place in found.places] == [(14, 0), (0, 14), (14, 0)]
    assert found.places[0].window(found.size) == (15, 0, 60, 60)


def test_the_largest_group_of_one_size_stays(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = plan(PORTRAIT, LANDSCAPE, LANDSCAPE, mixed=GROUP)
    assert (found.size, found.views) == ((56, 84), (1, 2))
    assert caplog.messages == ["1 of 3 images have another size than 56x84 px and are left out"]
    assert plan(PORTRAIT, LANDSCAPE, mixed=GROUP).views == (0,)  # of equal groups the first


@pytest.mark.parametrize("method", METHODS)
def test_a_plan_at_another_size_shows_the_same_part_of_each_image(method: str) -> None:
    own = plan((61, 95), (88, 60), method=method)
    found = own.at((42, 70))
    assert found.size == (42, 70)
    assert own.at(own.size) is own
    for before, after in zip(own.places, found.places):
        ours, theirs = after.window(found.size), before.window(own.size)
        assert np.abs(np.subtract(ours, theirs)).max() <= 1  # whole px of the image
        middle = np.array([[50.0, 0, 47.5], [0, 50.0, 30.5], [0, 0, 1]])
        lens, other = after.lens(middle), before.lens(middle)
        share = (found.size[1] / own.size[1], found.size[0] / own.size[0])
        assert lens[0, 2] / share[0] == pytest.approx(other[0, 2], abs=1.5)
        assert lens[1, 1] / share[1] == pytest.approx(other[1, 1], rel=0.03)


def test_inputs_are_parts_of_the_resized_image() -> None:
    inputs, image = Inputs(STEPS, RULE), pixels(*LANDSCAPE)
    whole = Preparation(STEPS, SizeRule(UPPER, 84, 14, TWICE))(image, (56, 84))
    assert np.array_equal(inputs.of(image, plan(LANDSCAPE), 0), whole)
    cut = inputs.of(image, plan(LANDSCAPE, PORTRAIT), 0)
    assert np.array_equal(cut, whole[:, :, :, 14:70])
    fitted = inputs.of(image, plan(LANDSCAPE, PORTRAIT).at((42, 42)), 0)
    assert np.array_equal(fitted, Preparation(STEPS, RULE)(image[:, 15:75], (42, 42)))


def test_what_was_shown_is_the_image_again() -> None:
    image = pixels(56, 84)
    for steps in (STEPS, STEPS[:1]):  # the program may normalise itself
        inputs = Inputs(steps, RULE)
        shown = inputs.shown(inputs.of(image, plan((56, 84)), 0))
        assert shown.shape == (1, 56, 84, 3)
        assert np.abs(shown[0, :, :, ::-1].astype(int) - image).max() <= 1  # cut off


def test_what_has_no_plan_is_refused() -> None:
    with pytest.raises(InputError, match="no images"):
        plan()
    with pytest.raises(InputError, match="process_res_method 'best': choose from upper_bound_re"):
        plan(LANDSCAPE, method="best")
    with pytest.raises(InputError, match="height 0 px: must be a multiple of 14"):
        plan((5, 90), method="upper_bound_crop")
    with pytest.raises(InputError, match="60x90 px, planned as 90x60"):
        Inputs(STEPS, RULE).of(pixels(*LANDSCAPE), plan(PORTRAIT), 0)


def test_views_have_names_that_files_can_have() -> None:
    assert names_of(["/x/b.jpg", "y/a.png"]) == ("b.jpg", "a.png")
    assert names_of(["x/a.png", "y/A.png"]) == ("0000_a.png", "0001_A.png")
    assert names_of(["", "a.png", ""])[2] == "0002_image.png"
    odd = ["x/.hidden", 'x/a"b.png', "x/a\nb.png", f"x/{'a' * 190}.png"]
    assert names_of(odd) == tuple(f"{number:04d}_image.png" for number in range(4))
