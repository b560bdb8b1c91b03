"""The frames of a sequence in their order: of a video file, or of a folder by natural order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Optional, Union

from depth.errors import InputError
from depth.files import sha256_bytes
from depth.images.given import RGB, Held, hold
from depth.images.read import Pixels, SourceImage, printable
from depth.images.video import EXTENSIONS, Video
from serve.folder.inputs import images_in, no_images
from serve.jobs.stems import unique_stems

VIDEO, FOLDER = "video", "folder"
_RATE = 24  # frames/s of a folder
_EVERY = 1000.0  # frames/s: every frame of a video
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame that is to be done.

    name     of its files, less their suffixes; a path inside raw/ and frames/
    seconds  its time in the sequence
    """

    number: int
    name: str
    held: Held
    seconds: Fraction


@dataclass(frozen=True, eq=False)
class Frames:
    """The frames of a source. Iterate `each` once.

    total  how many there are, or None if the source does not say
    tick   s: what times are whole numbers of
    """

    kind: str
    path: str
    each: Iterator[Frame]
    total: Optional[int]
    tick: Fraction
    rate: Fraction


def is_video(path: Path) -> bool:
    """Whether a file is taken for a video, by its name."""
    return path.suffix.lower() in EXTENSIONS and path.is_file()


@contextmanager
def opened(path: Path, output: Path, fps: Optional[float]) -> Iterator[Frames]:
    """The frames of a folder, of the folder that an image lies in, or of a video.

    fps  as in SequenceJob

    Raises NoImagesError for a folder without images, InputError for another path or if outputs
    would lie among the frames, ImageError for a file that is no video, ModuleNotFoundError without
    PyAV.
    """
    if is_video(path):
        with Video(path, fps or _EVERY) as video:
            rate = Fraction(video.rate / video.step).limit_denominator(90_000)
            total = video.total and -(-video.total // video.step)
            yield Frames(VIDEO, printable(path), _of_video(video), total, video.tick, rate)
    elif path.is_dir():
        rate = Fraction(fps or _RATE).limit_denominator(90_000)
        found = images_in(path, output)
        if not found.images:
            raise no_images(path, found.others, "--input")
        images = sorted(found.images, key=lambda image: natural(image.relative_to(path)))
        each = _of_folder(path, images, rate)
        yield Frames(FOLDER, printable(path), each, len(images), 1 / rate, rate)
    else:
        raise InputError(
            f"{printable(path)}: no sequence; expected a folder of images, or a video "
            f"({' '.join(EXTENSIONS)})"
        )


def natural(path: Path) -> list[list[Union[tuple[int, str], tuple[int, int, str]]]]:
    """A key that sorts numbers in names by their value: frame2 before frame10."""
    return [
        [(1, int(part), part) if part.isdigit() else (0, part) for part in _DIGITS.split(name)]
        for name in path.parts
    ]


def _of_folder(folder: Path, images: list[Path], rate: Fraction) -> Iterator[Frame]:
    paths = [image.relative_to(folder) for image in images]
    stems = unique_stems(list(paths), lambda name: [name + ".json"])
    for number, (image, stem) in enumerate(zip(images, stems)):
        yield Frame(number, str(stem), hold(image), number / rate)


def _of_video(video: Video) -> Iterator[Frame]:
    for found in video.frames():
        name = f"{found.number:06}"
        yield Frame(found.number, name, _held(found.pixels, video.name), found.seconds)


def _held(rgb: Pixels, name: str) -> Held:
    """Pixels of a video, with a hash of them in place of that of a file."""
    source = hold(rgb, RGB).open()
    if isinstance(source, SourceImage):
        source = replace(source, sha256=sha256_bytes(source.pixels.data))
    return Held(name, lambda: source)
