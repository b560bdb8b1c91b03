"""`cameras.txt`, `images.txt` and `points3D.txt` of COLMAP, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from depth.errors import InputError
from depth.files import reading
from depth.scenes.colmap.lenses import Lens, kind_named
from depth.scenes.colmap.posed import MAX_IMAGES, Posed, lens_of, posed
from depth.scenes.colmap.tracks import Gathered, Tracks

_MAX_LINE_BYTES = 1 << 26  # a line of images.txt has all points that an image sees


def read_cameras(path: Path) -> dict[int, Lens]:
    """The cameras by their numbers. Raises InputError, and OSError for no file."""
    found: dict[int, Lens] = {}
    for where, line in _lines(path):
        if not line or line.startswith("#"):
            continue
        number, model, width, height, *rest = _words(where, line, 4, "ID MODEL WIDTH HEIGHT ...")
        kind = kind_named(model)
        if len(rest) != kind.parameters:
            raise InputError(f"{where}: {len(rest)} parameters, {model} has {kind.parameters}")
        numbers = [_number(where, word) for word in rest]
        size = _whole(where, width), _whole(where, height)
        found[_whole(where, number)] = lens_of(kind, *size, numbers)
        _check_count(where, len(found))
    return found


def read_images(path: Path, lenses: dict[int, Lens]) -> Iterator[Posed]:
    """The images in the file's order. Raises as `read_cameras`."""
    names: set[str] = set()
    lines = _lines(path)
    for where, line in lines:
        if not line or line.startswith("#"):
            continue
        words = "ID QW QX QY QZ TX TY TZ CAMERA NAME"
        number, *pose, camera, name = _words(where, line, 10, words, 9)
        numbers = [_number(where, word) for word in pose]
        named = _whole(where, number), name
        yield posed(named, numbers, _whole(where, camera), lenses, names)
        _check_count(where, len(names))
        next(lines, None)  # the points that it sees, also if the line is empty


def read_points(path: Path) -> Tracks:
    """The points. Raises as `read_cameras`."""
    found = Gathered()
    for where, line in _lines(path):
        if not line or line.startswith("#"):
            continue
        words = _words(where, line, 8, "ID X Y Z R G B ERROR IMAGE POINT ...")
        x, y, z = (_number(where, word) for word in words[1:4])
        try:
            found.add((x, y, z), [_whole(where, word) for word in words[8::2]])
        except (InputError, OverflowError) as error:
            raise InputError(f"{where}: {error}") from error
    return found.tracks()


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Where a line is, and what it says. Raises InputError for a line without an end."""
    with reading(path) as file:
        number = 0
        while data := file.readline(_MAX_LINE_BYTES):
            number += 1
            where = f"line {number}"
            if len(data) == _MAX_LINE_BYTES:
                raise InputError(f"{where}: over {_MAX_LINE_BYTES} bytes")
            try:
                yield where, data.decode("utf-8").strip()
            except UnicodeDecodeError as error:
                raise InputError(f"{where}: not UTF-8") from error


def _words(where: str, line: str, least: int, expected: str, cuts: int = -1) -> list[str]:
    words = line.split(None, cuts)
    if len(words) < least:
        raise InputError(f"{where}: {line[:80]!r}: expected {expected}")
    return words


def _number(where: str, word: str) -> float:
    try:
        return float(word)
    except ValueError as error:
        raise InputError(f"{where}: {word[:40]!r}: expected a number") from error


def _whole(where: str, word: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) < 20):
        raise InputError(f"{where}: {word[:40]!r}: expected a whole number, 0 or larger")
    return int(word)


def _check_count(where: str, count: int) -> None:
    if count > MAX_IMAGES:
        raise InputError(f"{where}: expected at most {MAX_IMAGES} records")
