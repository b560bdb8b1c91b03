"""Which prediction belongs to which true depth, by the names of their files.

Data sets name an image and its depth differently. There are four rules, and that with the most
pairs is taken, the first of equals:

path   the same path below both folders, without extensions
kitti  the same drive, camera and frame anywhere in the path
words  the same path once words such as `rgb`, `sync` and `depth` are left out
name   the same name of the file without such words, in whatever folder
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Callable, Optional

from depth.errors import InputError
from depth.evaluation.files import ARRAYS
from depth.images.listing import IMAGE_EXTENSIONS
from depth.maps.files import FORMATS, PREVIEW_SUFFIX, SIDECAR_SUFFIX

MAX_FILES = 1_000_000

_WORDS = frozenset(
    ("rgb", "color", "colors", "colour", "colours", "image", "images", "img", "depth", "depths")
    + ("sync", "groundtruth", "gt", "truth", "pred", "prediction", "predictions")
)
_KITTI = [
    re.compile(pattern)
    for pattern in (r"\d{4}_\d\d_\d\d_drive_\d{4}", r"image_\d\d", r"(?<!\d)\d{10}(?!\d)")
]


@dataclass(frozen=True)
class Found:
    """A file, and its path below the folder without extension, as the rules take it."""

    path: Path
    base: str


@dataclass(frozen=True)
class Pairs:
    """Pairs by one rule, and the files that have none; all sorted by name."""

    rule: str
    pairs: list[tuple[Found, Found]]  # prediction, truth
    no_truth: list[Found]
    no_prediction: list[Found]


def predictions_in(folder: Path) -> list[Found]:
    """The results and arrays in a folder. A result counts once, by its .json where it has one."""
    files = list(_files(folder))
    described = {str(path)[: -len(SIDECAR_SUFFIX)] for path in files if _is(path, SIDECAR_SUFFIX)}
    ends = tuple(f".{name}" for name in FORMATS)
    found = [
        _found(path, folder)
        for path in files
        if _is(path, SIDECAR_SUFFIX)
        or (_is(path, *ends) and not _is(path, PREVIEW_SUFFIX) and not _belongs(path, described))
    ]
    return sorted(found, key=lambda file: (file.base, file.path))


def truths_in(folder: Path) -> list[Found]:
    """The arrays in a folder."""
    found = [_found(path, folder) for path in _files(folder) if _is(path, *ARRAYS)]
    return sorted(found, key=lambda file: (file.base, file.path))


def paired(predictions: Sequence[Found], truths: Sequence[Found]) -> Pairs:
    """Raises InputError if no rule finds a pair, or the best rule finds two for a file."""
    tried = {rule: _tried(key, predictions, truths) for rule, key in RULES.items()}
    rule = max(tried, key=lambda name: len(tried[name]))
    keys = tried[rule]
    if not keys:
        _check_apart(predictions, truths)
        _check_apart(truths, predictions)
        raise InputError(
            f"no prediction has true depth: the names of {_some(predictions)} and {_some(truths)} "
            "have nothing in common; give both the same names, or the same folders below"
        )
    key = RULES[rule]
    there = [{key(file.base): file for file in files} for files in (predictions, truths)]
    return Pairs(
        rule,
        [(there[0][name], there[1][name]) for name in sorted(keys)],
        [file for file in predictions if key(file.base) not in keys],
        [file for file in truths if key(file.base) not in keys],
    )


def _tried(
    key: Callable[[str], Optional[str]], predictions: Sequence[Found], truths: Sequence[Found]
) -> set[str]:
    """The keys on both sides; none if a key stands for several files."""
    counts = [Counter(key(file.base) for file in files) for files in (predictions, truths)]
    common = {name for name in counts[0] if name is not None and name in counts[1]}
    twice = any(count[name] > 1 for count in counts for name in common)
    return set() if twice else common


def _check_apart(files: Sequence[Found], others: Sequence[Found]) -> None:
    """Raises InputError for two files that a rule pairs with the same file of the others."""
    for key in RULES.values():
        there = {key(other.base): other for other in others}
        first: dict[Optional[str], Found] = {}
        for file in files:
            name = key(file.base)
            twin = first.setdefault(name, file)
            if twin is not file and name is not None and name in there:
                raise InputError(
                    f"{twin.path} and {file.path} would both go with {there[name].path}: give "
                    "both sides the same folders below, or move one of the two away"
                )


def _kitti(base: str) -> Optional[str]:
    parts = [found.group() for found in (pattern.search(base) for pattern in _KITTI) if found]
    return " ".join(parts) if len(parts) == len(_KITTI) else None


def _words(base: str) -> str:
    parts = (_without_words(part) for part in PurePosixPath(base).parts)
    return "/".join(filter(None, parts))


def _without_words(part: str) -> str:
    return "_".join(word for word in re.split(r"[_\-. ]", part) if word.lower() not in _WORDS)


def _name(base: str) -> Optional[str]:
    return _without_words(PurePosixPath(base).name) or None


RULES: dict[str, Callable[[str], Optional[str]]] = {
    "path": lambda base: base,
    "kitti": _kitti,
    "words": _words,
    "name": _name,
}


def _files(folder: Path) -> Iterator[Path]:
    """Files below a folder, without hidden ones; links to folders are not followed."""
    if not folder.is_dir():
        raise InputError(f"{folder}: not a folder")
    count = 0
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            count += 1
            if count > MAX_FILES:
                raise InputError(f"{folder}: over {MAX_FILES} files; give a folder with fewer")
            if not name.startswith("."):
                yield Path(parent, name)


def _found(path: Path, folder: Path) -> Found:
    base = path.relative_to(folder).with_suffix("")
    if base.suffix.lower() in IMAGE_EXTENSIONS:  # photo.jpg.json, of photo.jpg
        base = base.with_suffix("")
    return Found(path, base.as_posix())


def _is(path: Path, *ends: str) -> bool:
    return path.name.lower().endswith(ends)


def _belongs(path: Path, described: set[str]) -> bool:
    """Whether a .json describes the file: a.png and a.sky.png are of a.json."""
    text, folder = str(path), str(path.parent)
    while "." in text[len(folder) :]:
        text = text.rpartition(".")[0]
        if text in described:
            return True
    return False


def _some(files: Sequence[Found]) -> str:
    return ", ".join(file.base for file in files[:2]) + (", ..." if len(files) > 2 else "")
