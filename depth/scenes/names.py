"""Names of a scene's views, made from the paths of their images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

_NAME = re.compile(r"""[^./\\"][^/\\"]*""")
_NAME_BYTES = 180  # exports add a suffix, and this module a number


def names_of(paths: Sequence[str]) -> tuple[str, ...]:
    """A name for each view: of its file, after a number unless all names are different.

    paths  "" where an image is no file
    """
    names = [plain_name(path) for path in paths]
    if len({name.casefold() for name in names}) == len(names):
        return tuple(names)
    return tuple(f"{number:04d}_{name}" for number, name in enumerate(names))


def plain_name(path: str) -> str:
    """Of a file; `image.png` for no file, or a name that not every system can write."""
    name = Path(path).name
    plain = _NAME.fullmatch(name) and name.isprintable() and len(name.encode()) <= _NAME_BYTES
    return name if plain else "image.png"
