"""Names of masks by the rules of the programs that read them."""

from __future__ import annotations

from pathlib import PurePosixPath as P

import pytest

from depth.errors import InputError
from depth.masks.layouts import LAYOUTS, layout_named, masks_of


@pytest.mark.parametrize(
    ("layout", "mask"),
    [
        ("colmap", "a/b.c.jpg.png"),  # the image's path inside the folder, and .png
        ("metashape", "a/b.c_mask.png"),  # the template {filename}_mask.png
        ("realitycapture", "a/b.c.jpg.mask.png"),
        ("odm", "a/b.c_mask.png"),
        ("nerfstudio", "a/b.c.png"),  # (masks_path / image).with_suffix(".png")
    ],
)
def test_a_mask_is_called_as_its_program_expects(layout: str, mask: str) -> None:
    assert masks_of([P("a/b.c.jpg")], layout_named(layout)) == {P("a/b.c.jpg"): P(mask)}


def test_nerfstudio_finds_the_mask_by_its_own_expression() -> None:
    image = P("cam 1/x.y.JPG")
    assert LAYOUTS["nerfstudio"].mask_of(image) == image.with_suffix(".png")


def test_an_unknown_layout_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(InputError, match="'meshroom'; choose from colmap, metashape"):
        layout_named("meshroom")


@pytest.mark.parametrize("layout", ["metashape", "odm", "nerfstudio"])
def test_two_images_with_one_mask_are_refused(layout: str) -> None:
    with pytest.raises(InputError, match=r"a/x\.jpg and a/X\.png would both have the mask"):
        masks_of([P("a/x.jpg"), P("a/X.png")], layout_named(layout))
    apart = [P("a/x.jpg"), P("b/x.jpg")]
    assert len(set(masks_of(apart, layout_named(layout)).values())) == 2


@pytest.mark.parametrize("layout", ["colmap", "realitycapture"])
def test_whole_names_collide_only_where_case_does_not_count(layout: str) -> None:
    assert len(masks_of([P("x.jpg"), P("x.png")], layout_named(layout))) == 2
    with pytest.raises(InputError, match=r"x\.jpg and X\.jpg"):
        masks_of([P("x.jpg"), P("X.jpg")], layout_named(layout))


def test_opendronemap_gets_no_mask_whose_name_has_a_space() -> None:
    images = [P("my flight/a.jpg"), P("my flight/b c.jpg")]
    assert len(masks_of(images, layout_named("metashape"))) == 2
    assert len(masks_of(images[:1], layout_named("odm"))) == 1, "only the name counts"
    with pytest.raises(InputError, match=r"my flight/b c\.jpg: .* call the image b_c\.jpg"):
        masks_of(images, layout_named("odm"))


def test_masks_beside_their_images_are_no_images() -> None:
    odm = layout_named("odm")
    images = [P("a/b.jpg"), P("a/b_mask.png"), P("a/c.png")]
    assert list(masks_of(images, odm, beside=True)) == [P("a/b.jpg"), P("a/c.png")]
    assert len(masks_of(images, odm)) == 3
    # An image that would be its own mask stays an image: the job refuses it.
    assert list(masks_of([P("a.png")], layout_named("nerfstudio"), beside=True)) == [P("a.png")]
