"""The presets, as one table: what each tool reads, and which kinds of depth can give it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from depth.errors import InputError
from depth.family import DEPTH_KINDS, FOCAL_NORMALISED, METRES, SCENE_UNITS
from depth.presets.names import CUBE_FACES, TANGENT_VIEWS

# What the numbers of a file are.
DISTANCE = "distance"  # along the optical axis; larger is farther
INVERSE = "inverse"  # inverse distance; larger is nearer
NEARNESS = "nearness"  # 0 to 1 within the image; 1 is nearest
NATIVE = "native"  # as the model gives them

ZERO, NAN, FARTHEST = "0", "NaN", "the farthest value"  # what stands where there is no depth
VIEWS = "views"  # the container of views of a panorama: files in folders
CAMERA, PICTURE = "camera", "picture"  # what a preset takes besides depth

METRIC = (METRES,)
MEASURED = (METRES, SCENE_UNITS)
_MAX_CODE = 65535


@dataclass(frozen=True)
class Extra:
    """A further file of each image.

    folder, suffix  of its name, around the stem; or `name`, the same for every image of a folder
    needs           CAMERA: left out where no camera is known. PICTURE: the image itself
    """

    role: str
    suffix: str = ""
    folder: str = ""
    name: str = ""
    needs: str = ""


@dataclass(frozen=True)
class Preset:
    """What a tool reads.

    holds       DISTANCE, INVERSE, NEARNESS or NATIVE
    container   a key of CONTAINERS in encode.py
    dtype       of the stored numbers
    per_unit    stored number = this * value; None: the codes are filled image by image
    invalid     what stands where there is no depth
    suffix, folder  of the depth file's name, around the stem
    kinds       of depth that can give it
    consumer    the tool, and what its user gives it
    source      where the format is from
    extras      further files of each image
    summary     a file for all images of a job, "" for none
    whole_name  whether the stem keeps the image's suffix: a.jpg
    """

    name: str
    holds: str
    container: str
    dtype: str
    invalid: str
    suffix: str
    consumer: str
    source: str
    per_unit: Optional[float] = 1.0
    folder: str = ""
    kinds: tuple[str, ...] = DEPTH_KINDS
    extras: tuple[Extra, ...] = ()
    summary: str = ""
    whole_name: bool = False

    @property
    def takes(self) -> frozenset[str]:
        """CAMERA and PICTURE, if it takes them."""
        return frozenset(extra.needs for extra in self.extras if extra.needs)

    @property
    def is_one_export(self) -> bool:
        """Whether a file of a fixed name speaks of all images of a folder."""
        return any(extra.name for extra in self.extras)

    @property
    def most(self) -> Optional[float]:
        """The largest value that the codes hold; None without such an end."""
        if self.dtype != "uint16" or self.per_unit is None:
            return None
        return _MAX_CODE / self.per_unit


def _distance_png(
    name: str, per_metre: float, consumer: str, source: str, **more: object
) -> Preset:
    shape = (name, DISTANCE, "png", "uint16", ZERO, ".png", consumer, source, per_metre)
    return Preset(*shape, **{"kinds": METRIC, **more})  # type: ignore[arg-type]


_OPEN3D = Extra("open3d", ".open3d.json")
_CAMERA_INFO = Extra("camera_info", ".yaml", needs=CAMERA)
_RGB = Extra("rgb", ".png", "rgb/", needs=PICTURE)
_IW3 = Extra("config", name="iw3_export.yml")

_ROWS = (
    Preset(
        "3dgs",
        INVERSE,
        "png",
        "uint16",
        FARTHEST,
        ".png",
        "3D Gaussian splatting of graphdeco: `--depths` of train.py",
        "scene/cameras.py, utils/make_depth_scale.py of graphdeco-inria/gaussian-splatting",
        per_unit=None,
        summary="depth_params.json",
    ),
    _distance_png(
        "nerfstudio",
        1000,
        "nerfstudio's depth datasets; depth_unit_scale_factor 0.001",
        "nerfstudio_dataparser.py, get_depth_image_from_path of nerfstudio",
        kinds=MEASURED,
        summary="transforms_depth.json",
    ),
    _distance_png(
        "open3d",
        1000,
        "Open3D's RGBDImage.create_from_color_and_depth; give depth_trunc, else 3 m end it",
        "Open3D's documentation: depth_scale 1000, depth_trunc 3.0",
        extras=(_OPEN3D,),
    ),
    Preset(
        "ros",
        DISTANCE,
        "tiff",
        "float32",
        NAN,
        ".tiff",
        "ROS: an image of encoding 32FC1, and its camera_info",
        "REP 117 and 118; camera_calibration_parsers",
        kinds=METRIC,
        extras=(_CAMERA_INFO,),
    ),
    _distance_png("kitti", 256, "KITTI's depth devkit", "readme.txt of the depth devkit"),
    _distance_png(
        "nyu", 1000, "readers of NYU Depth V2 and Redwood as millimetres", "common practice"
    ),
    _distance_png(
        "tum",
        5000,
        "readers of the TUM RGB-D benchmark",
        "file formats of the TUM RGB-D benchmark: factor 5000",
        summary="depth.txt",
    ),
    Preset(
        "colmap",
        DISTANCE,
        "colmap",
        "float32",
        ZERO,
        ".geometric.bin",
        "COLMAP's stereo_fusion: `--output DENSE/stereo/depth_maps`",
        "scripts/python/read_write_dense.py of COLMAP",
        kinds=MEASURED,
        whole_name=True,
    ),
    Preset(
        "midas",
        INVERSE,
        "pfm",
        "float32",
        ZERO,
        ".pfm",
        "readers of MiDaS's PFM files",
        "read_pfm in utils.py of MiDaS",
    ),
    Preset(
        "blender",
        NATIVE,
        "exr",
        "float32",
        ZERO,
        ".exr",
        "Blender's image texture, as Non-Color: one channel Y",
        "Blender's OpenEXR reader",
    ),
    Preset(
        "iw3",
        INVERSE,
        "png",
        "uint16",
        FARTHEST,
        ".png",
        "iw3 of nunif: open iw3_export.yml",
        "iw3/export_config.py, iw3/base_depth_model.py of nunif",
        per_unit=None,
        folder="depth/",
        extras=(_RGB, _IW3),
    ),
    Preset(
        "comfyui",
        NEARNESS,
        "image",
        "float32",
        FARTHEST,
        ".npy",
        "ComfyUI's IMAGE: [1,H,W,3]",
        "ComfyUI's nodes.py: IMAGE is [B,H,W,C] from 0 to 1",
    ),
    Preset(
        "sp3d",
        NEARNESS,
        "sp3d",
        "float32",
        FARTHEST,
        ".depth.json",
        "SimplePicture3D's depth estimator",
        "its Python sidecar: height, width, depth",
    ),
)
PRESETS: Mapping[str, Preset] = {row.name: row for row in _ROWS}

_COLMAP_RIG = "rigs.rst in COLMAP's documentation"


def _views(name: str, sure: tuple[str, ...], folder: str) -> Preset:
    """Views of a panorama, each in a folder of its own, as COLMAP's rigs have it."""
    images = (Extra(f"{view}_image", ".jpg", f"{folder}/images/{view}/") for view in sure)
    depths = (Extra(f"{view}_depth", ".png", f"{folder}/depth/{view}/") for view in sure[1:])
    first = f"{folder}/depth/{sure[0]}/"
    shape = (name, NATIVE, VIEWS, "uint16", ZERO, ".png", "COLMAP's rigs", _COLMAP_RIG)
    return Preset(*shape, folder=first, extras=(*images, *depths))


# Of panoramas only, by options of their command.
OF_PANORAMAS: Mapping[str, Preset] = {
    CUBE_FACES: _views(CUBE_FACES, ("front", "right", "back", "left", "up", "down"), "cube"),
    TANGENT_VIEWS: _views(TANGENT_VIEWS, ("view0", "up", "down"), "views"),
}


def preset_named(name: str) -> Preset:
    """A row of the table. Raises InputError that lists the names there are."""
    found = PRESETS.get(name) or OF_PANORAMAS.get(name)
    if found is None:
        raise InputError(f"preset {name!r}: expected one of {', '.join(PRESETS)}")
    return found


def check_kind(name: str, kind: str, by: str = "") -> None:
    """Raises InputError, with the remedy, if a kind of depth cannot meet a preset.

    by  what gives the kind, such as "the model vits"; by default the result
    """
    row = preset_named(name)
    if kind in row.kinds:
        return
    remedy = "take a metric model, or fit depth to measured depth with --fit"
    if kind == FOCAL_NORMALISED:
        remedy = "the camera's focal length is missing: give --focal-px, --fov-deg or --intrinsics"
    elif kind == SCENE_UNITS:
        remedy = "if the COLMAP model is in metres, give --fit-unit m"
    raise InputError(
        f"preset {name}: holds {' or '.join(row.kinds)}, and {by or 'the result'} gives {kind}, "
        f"which is no metres; {remedy}"
    )
