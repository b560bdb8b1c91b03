"""Views of a panorama as files: images and depth in folders as COLMAP's rigs have them.

FOLDER/images/VIEW/NAME.jpg    the view of an image, as COLMAP reads the images of a rig
FOLDER/depth/VIEW/NAME.png     its depth along the optical axis; the description is inside
FOLDER/rig_SIDE.json           rotations and cameras: `colmap rig_configurator --rig_config_path`
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from depth.errors import InputError
from depth.family import DEPTH
from depth.images.read import Pixels
from depth.maps.consumer import NamedBytes, PresetFacts, PresetFiles
from depth.maps.formats import CODECS
from depth.maps.meta import Description, Encoding
from depth.maps.png import coding_for, to_codes
from depth.maps.result import Map, Result
from depth.panoramas.cutting import Cutting, quaternion
from depth.panoramas.geometry import View
from depth.panoramas.layouts import CUBE
from depth.presets.names import CUBE_FACES
from depth.presets.shot import Shot
from depth.presets.table import Preset

_QUALITY = 95
_PNG = "png"


def view_files(preset: Preset, result: Result, base: str, shot: Shot) -> PresetFiles:
    """The files of CUBE_FACES or TANGENT_VIEWS; see the module.

    base  the last part of the stem

    Raises InputError for a result that is no panorama's, or without its image.
    """
    if shot.pixels is None or result.projection is None:
        raise InputError(f"preset {preset.name}: cuts a panorama and its image: give both")
    folder = preset.folder.partition("/")[0]
    cutting = Cutting(result, shot.pixels, _views(preset, result))
    side, coding = cutting.side_px, coding_for(_ends(cutting, result.depth))
    encoding = Encoding("uint16", coding.scale, coding.offset)
    files: dict[str, NamedBytes] = {}
    for view in cutting.views:
        each, name = cutting.cut(view), view.name
        depth = each.result.depth
        image = f"{folder}/images/{name}/{base}.jpg"
        source = {"path": image, "width_px": side, "height_px": side}
        text = Description(each.result, source, {(DEPTH, _PNG): encoding}).inside[DEPTH, _PNG]
        data = CODECS[_PNG].encode(to_codes(depth.values, coding), text)
        role = f"{name}_depth" if files else DEPTH  # the first stands for all
        files[role] = f"{folder}/depth/{name}/{base}.png", data
        files[f"{name}_image"] = image, _jpeg(each.pixels)
    files["rig"] = f"{folder}/rig_{side}.json", rig(cutting.views, side)
    facts = PresetFacts(
        preset.name,
        "",
        preset.holds,
        encoding.dtype,
        encoding.scale,
        encoding.offset,
        preset.invalid,
        0,
        0,
        {"views": [_described(view, side) for view in cutting.views]},
    )
    return PresetFiles(facts, files)


def rig(views: Sequence[View], side_px: int) -> bytes:
    """COLMAP's rig_config.json of the views; the first is the rig's reference.

    COLMAP counts px from the first pixel's corner. Rotations are w, x, y, z from the rig.
    """
    first, *others = views
    focal, middle = first.focal_px(side_px), side_px / 2
    cameras: list[dict[str, Any]] = [{"image_prefix": f"{first.name}/", "ref_sensor": True}]
    for view in others:
        cameras.append(
            {
                "image_prefix": f"{view.name}/",
                "cam_from_rig_rotation": quaternion(view).tolist(),
                "cam_from_rig_translation": [0.0, 0.0, 0.0],
            }
        )
    for camera in cameras:
        camera["camera_model_name"] = "PINHOLE"
        camera["camera_params"] = [focal, focal, middle, middle]
    return (json.dumps([{"cameras": cameras}], indent=2) + "\n").encode()


def _views(preset: Preset, result: Result) -> Sequence[View]:
    if preset.name == CUBE_FACES or result.projection is None:
        return CUBE
    made_of = result.projection.views
    return [View(each.name, each.yaw_deg, each.pitch_deg, each.fov_deg) for each in made_of]


def _ends(cutting: Cutting, depth: Map) -> Map:
    """The least and the largest depth of all views, for codes that mean the same in each."""
    ends = [(each.min(), each.max()) for each in map(cutting.depth, cutting.views)]
    return replace(depth, values=np.array(ends, np.float32))


def _described(view: View, side_px: int) -> dict[str, Any]:
    """What the .json says of a view; axes are OpenCV's, px count from the first pixel's centre."""
    return {
        "name": view.name,
        "yaw_deg": view.yaw_deg,
        "pitch_deg": view.pitch_deg,
        "fov_deg": view.fov_deg,
        "side_px": side_px,
        "intrinsics": view.intrinsics(side_px).tolist(),
        "rotation_to_world": view.rotation.tolist(),
    }


def _jpeg(pixels: Pixels) -> bytes:
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return data.tobytes()
