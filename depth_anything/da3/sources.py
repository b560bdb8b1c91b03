"""What a command is given - an image, a folder, a video, a COLMAP model - as views of a scene."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np

from depth.console import counted, say
from depth.errors import ImageError, InputError
from depth.images.read import ImageFile, Pixels, decode, printable
from depth.images.video import EXTENSIONS as VIDEOS
from depth.images.video import Video
from depth.scenes.colmap.folder import has_model, read_model
from depth.scenes.colmap.posed import Posed
from depth.scenes.colmap.undistorted import Pinhole, pinhole_of
from depth.scenes.names import names_of
from depth.steps.cameras import Cameras
from depth_anything.da3.folder import SceneFolder

IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tiff", ".tif")
IMAGE, FOLDER, VIDEO, COLMAP = "image", "images", "video", "colmap"

# Undone by the same turn, but for quarter turns: EXIF orientation -> [H,W,3] as it was stored.
_STORED: dict[int, Callable[[Pixels], Pixels]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@dataclass(frozen=True, eq=False)
class Views:
    """Files of images, upright, and their cameras if they are known (px of the files)."""

    paths: tuple[Path, ...]
    names: tuple[str, ...]
    cameras: Optional[Cameras] = None


def kind_of(path: Path) -> str:
    """What is at a path: IMAGE or VIDEO by its suffix, COLMAP or FOLDER by what is in it.

    Raises InputError for anything else.
    """
    suffix = path.suffix.lower()
    if path.is_file() and suffix in (*IMAGES, *VIDEOS):
        return IMAGE if suffix in IMAGES else VIDEO
    if path.is_dir():
        if (path / "images").is_dir() and (path / "sparse").is_dir():
            return COLMAP
        if any(child.suffix.lower() in IMAGES and child.is_file() for child in path.iterdir()):
            return FOLDER
    problem = "has nothing that is known" if path.exists() else "is not there"
    raise InputError(
        f"{printable(path)}: {problem}; expected an image ({' '.join(IMAGES)}), a folder of "
        f"images, a video ({' '.join(VIDEOS)}), or a COLMAP folder with images/ and sparse/"
    )


def image_views(path: Path) -> Views:
    """One image. Raises ImageError for a file that is none."""
    ImageFile.read(path).header  # noqa: B018 - raises
    return Views((path,), names_of([str(path)]))


def folder_views(folder: Path, extensions: str) -> Views:
    """The images in a folder, not below it, sorted by name.

    extensions  joined by commas; upper case counts as lower. Raises InputError for no image.
    """
    wanted = {f".{word.strip().lower().lstrip('.')}" for word in extensions.split(",")} - {"."}
    try:
        found = sorted(p for p in folder.iterdir() if p.suffix.lower() in wanted and p.is_file())
    except OSError as error:
        raise InputError(f"{printable(folder)}: cannot be listed ({error.strerror})") from error
    if not found:
        raise InputError(
            f"{printable(folder)}: no image whose name ends in {' or '.join(sorted(wanted))}; "
            "--image-extensions names others"
        )
    return Views(tuple(found), names_of([str(path) for path in found]))


def video_views(path: Path, fps: float, folder: SceneFolder, most: int) -> Views:
    """Frames of a video, written into the folder as upstream does.

    most  frames; more are refused once it is known. Raises InputError, ImageError.
    """
    with Video(path, fps) as video:
        total = video.total
        taken = None if total is None else -(-total // video.step)
        if fps > video.rate:
            say(f"{path.name}: has {video.rate:g} frames/s, less than --fps {fps:g}")
        if taken is not None and taken > most:
            raise too_many(taken, most)
        found: list[Path] = []
        with counted("frames", total) as count:
            for frame in video.frames():
                if len(found) == most:
                    raise too_many(most + 1, most)
                found.append(folder.add_input(f"{len(found):06d}.png", frame.pixels))
                count(frame.number + 1)
    return Views(tuple(found), tuple(each.name for each in found))


def too_many(count: int, most: int) -> InputError:
    """The error for more views than one scene takes."""
    return InputError(
        f"{count} or more views, and one scene takes {most}: take fewer with a lower --fps, a "
        "video in windows with --window 8, or --most-views if the memory is there"
    )


def colmap_views(top: Path, subdir: str, folder: SceneFolder) -> Views:
    """The images of a COLMAP model that are there, and their cameras.

    subdir  below sparse/; "": sparse/ itself, or sparse/0. Images with distortion, or that lie on
            their side by EXIF, are written into the folder as a pinhole camera sees them

    Raises InputError for a model that is damaged, or whose images are not there.
    """
    model = read_model(_sparse(top, subdir))
    images = top / "images"
    posed = [each for each in model if (images / each.name).is_file()]
    if not posed:
        raise InputError(f"{printable(images)}: none of the {len(model)} images of the model")
    if len(posed) < len(model):
        say(f"{len(model) - len(posed)} of {len(model)} images of the model are not there")
    pinholes = {each.lens: pinhole_of(each.lens) for each in posed}
    names = names_of([each.name for each in posed])
    paths = []
    with counted("images", len(posed)) as count:
        for number, (each, name) in enumerate(zip(posed, names)):
            paths.append(_straight(images, each, pinholes[each.lens], folder, name))
            count(number + 1)
    cameras = Cameras(
        np.stack([each.extrinsics for each in posed]).astype(np.float32),
        np.stack([pinholes[each.lens].matrix for each in posed]).astype(np.float32),
    )
    return Views(tuple(paths), names, cameras)


def _sparse(top: Path, subdir: str) -> Path:
    sparse = top / "sparse"
    if subdir:
        if {"", ".", ".."} & set(subdir.split("/")):
            raise InputError(
                f"--sparse-subdir {subdir!r}: expected a name below sparse/, such as 0"
            )
        return sparse / subdir
    return sparse if has_model(sparse) or not has_model(sparse / "0") else sparse / "0"


def _straight(images: Path, posed: Posed, pinhole: Pinhole, folder: SceneFolder, name: str) -> Path:
    """The file of an image as the pinhole sees it: its own, or one that is written."""
    path = images / posed.name
    if Path(os.path.realpath(images)) not in Path(os.path.realpath(path)).parents:
        raise InputError(f"{printable(path)}: a link that leads out of {printable(images)}")
    file = ImageFile.read(path)
    header = file.header
    if header.orientation == 1 and posed.lens.straight:
        _check_size((header.height_px, header.width_px), posed, path)
        return path
    pixels = decode(file).pixels[..., ::-1]
    stored = _STORED[header.orientation](pixels) if header.orientation > 1 else pixels
    if stored.shape[:2] != posed.lens.size:  # then COLMAP saw it upright
        stored = pixels
    _check_size((stored.shape[0], stored.shape[1]), posed, path)
    try:
        return folder.add_input(_as_png(name), pinhole.image(np.ascontiguousarray(stored)))
    except ImageError as error:
        raise InputError(f"{printable(path)}: {error}") from error


def _as_png(name: str) -> str:
    return name if name.lower().endswith(".png") else f"{name}.png"


def _check_size(size: tuple[int, int], posed: Posed, path: Path) -> None:
    if size != posed.lens.size:
        height, width = posed.lens.size
        raise InputError(
            f"{printable(path)}: {size[1]}x{size[0]} px, its camera in the model has "
            f"{width}x{height}: give the images that the model was made from"
        )
