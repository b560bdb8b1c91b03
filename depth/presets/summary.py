"""The file that a preset has for all images of a job, made from the .json of each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Callable, Optional

from depth.family import DEPTH
from depth.maps.consumer import ListedPreset

_NUMBER = re.compile(r"\d{1,12}(\.\d{1,9})?")  # a time in seconds, as TUM names its images


@dataclass(frozen=True)
class Done:
    """An image whose files are there.

    image   its path inside the input folder
    folder  of its files, inside the output folder
    time    in seconds, as a text; "" to take the name of the depth file
    """

    image: str
    folder: PurePosixPath
    preset: ListedPreset
    time: str = ""

    @property
    def depth_file(self) -> str:
        """The path of the depth file inside the output folder."""
        return (self.folder / self.preset.files[DEPTH].name).as_posix()


def summary_of(preset: str, done: Iterable[Done]) -> Optional[bytes]:
    """The bytes of the preset's `summary`; None where the images give none."""
    images = [each for each in done if each.preset.name == preset and DEPTH in each.preset.files]
    return _SUMMARIES[preset](sorted(images, key=lambda each: each.image)) if images else None


def _depth_params(images: list[Done]) -> Optional[bytes]:
    """graphdeco's depth_params.json: image name without suffix -> scale and offset of its codes.

    None unless depth of an image was fitted to the COLMAP model.
    """
    found = {}
    for each in images:
        if {"scale", "offset"} <= set(each.preset.facts):
            name = PurePosixPath(each.image).with_suffix("").as_posix()
            found[name] = {key: each.preset.facts[key] for key in ("scale", "offset")}
    return _json(found) if found else None


def _transforms(images: list[Done]) -> bytes:
    """For each frame of nerfstudio's transforms.json its depth file, relative to this file."""
    frames = [{"file_path": each.image, "depth_file_path": each.depth_file} for each in images]
    return _json({"depth_unit_scale_factor": images[0].preset.scale, "frames": frames})


def _depth_txt(images: list[Done]) -> Optional[bytes]:
    """TUM's list of times and files; None unless the name of every image is a time in seconds."""
    times = [each.time or PurePosixPath(each.depth_file).stem for each in images]
    if not all(map(_NUMBER.fullmatch, times)):
        return None
    rows = sorted(zip(map(float, times), times, images), key=lambda row: row[0])
    lines = [f"{time} {each.depth_file}" for _, time, each in rows]
    return ("\n".join(["# depth maps", "# timestamp filename", *lines]) + "\n").encode()


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()


_SUMMARIES: dict[str, Callable[[list[Done]], Optional[bytes]]] = {
    "3dgs": _depth_params,
    "nerfstudio": _transforms,
    "tum": _depth_txt,
}

# Why the images give no file of a whole job.
WITHOUT: Mapping[str, str] = {
    "3dgs": "depth was not fitted to the COLMAP model, so there is no depth_params.json: run "
    "graphdeco's utils/make_depth_scale.py with this folder as --depths_dir, or use --fit",
    "nerfstudio": "no image is done, so there is no transforms_depth.json",
    "tum": "the names of the images are no times in seconds, so there is no depth.txt",
}
