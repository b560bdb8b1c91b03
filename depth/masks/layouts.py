"""How each photogrammetry program finds the mask of an image, and how the pixels are laid out.

Sources: COLMAP, FAQ "mask image regions"; nerfstudio, `colmap_dataparser.py`; the help of
OpenDroneMap, Metashape and RealityScan; OpenDroneMap's `stages/dataset.py`. Nobody has loaded these
masks into Metashape or RealityScan here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from depth.errors import InputError


@dataclass(frozen=True)
class Layout:
    """The name of a mask, from the path of its image inside the folder of images.

    keeps_suffix  whether the mask's name has the whole name of the image, with its extension
    ending        what follows the name
    spaces        whether the program finds a mask whose name has a space
    """

    name: str
    keeps_suffix: bool
    ending: str
    spaces: bool = True

    def mask_of(self, image: PurePosixPath) -> PurePosixPath:
        """Where the mask lies inside the folder of masks: folders are mirrored."""
        name = image.name if self.keeps_suffix else image.stem
        return image.with_name(name + self.ending)


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout("colmap", keeps_suffix=True, ending=".png"),
        Layout("metashape", keeps_suffix=False, ending="_mask.png"),
        Layout("realitycapture", keeps_suffix=True, ending=".mask.png"),
        Layout("odm", keeps_suffix=False, ending="_mask.png", spaces=False),
        Layout("nerfstudio", keeps_suffix=False, ending=".png"),
    )
}


def layout_named(name: str) -> Layout:
    """A row of `LAYOUTS`. Raises InputError that lists them."""
    if name not in LAYOUTS:
        raise InputError(f"no mask layout {name!r}; choose from {', '.join(LAYOUTS)}")
    return LAYOUTS[name]


def masks_of(
    images: Sequence[PurePosixPath], layout: Layout, beside: bool = False
) -> dict[PurePosixPath, PurePosixPath]:
    """The mask of each image, by the image.

    beside  whether masks lie beside their images: then the masks of others are no images

    Raises InputError for two images whose masks would have one name, where case does not count; and
    for a name that the program cannot find.
    """
    masks = {image: layout.mask_of(image) for image in images}
    named = {_key(mask) for image, mask in masks.items() if mask != image} if beside else set()
    chosen = {image: mask for image, mask in masks.items() if _key(image) not in named}
    _check_spaces(chosen, layout)
    first: dict[str, PurePosixPath] = {}
    for image, mask in chosen.items():
        other = first.setdefault(_key(mask), image)
        if other != image:
            raise InputError(
                f"{other} and {image} would both have the mask {mask} in the layout "
                f"{layout.name}: rename an image, or take another --layout, such as colmap"
            )
    return chosen


def _check_spaces(masks: Mapping[PurePosixPath, PurePosixPath], layout: Layout) -> None:
    for image, mask in masks.items():
        if not layout.spaces and " " in mask.name:
            raise InputError(
                f"{image}: the layout {layout.name} is for OpenDroneMap, which ignores the mask "
                f"{mask.name!r} for its space: call the image {image.name.replace(' ', '_')}"
            )


def _key(path: PurePosixPath) -> str:
    return str(path).casefold()
