"""The keys of the results of an image.

    FOLDER/IMAGE.<tag>-<sha256>.png      depth; further files have further suffixes, and a file that
                                         a preset has in a folder, depth/NAME.png: .depth.png
    FOLDER/IMAGE.<tag>-<sha256>.json     written last: it lists the others with their hashes

FOLDER   the job's settings and artifacts, by a hash; see `Making`
IMAGE    key of the image below the input's prefix
tag      12 digits of the ETag that the listing gives: a rerun downloads no image again for it
sha256   its first 16 digits, of the image's bytes

A file whose key is taken by other bytes gets 12 digits of its own hash before its suffix.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from depth.errors import InputError
from depth.files import sha256_bytes
from depth.maps.names import SIDECAR_SUFFIX
from depth.store.objects import Listed

_TAG, _SHA256, _OWN = 12, 16, 12
_STEM = rf"(.+)\.([0-9a-f]{{{_TAG}}})-([0-9a-f]{{{_SHA256}}})"
_DESCRIBES = re.compile(_STEM + re.escape(SIDECAR_SUFFIX), re.DOTALL)


@dataclass(frozen=True)
class Stored:
    """A whole result in the store: every file of it is there."""

    tag: str
    sha256: str
    sizes_bytes: Mapping[str, int]  # by key, depth first and the .json last


def tag_of(listed: Listed) -> str:
    """A short name for a version of an image."""
    return sha256_bytes(f"{listed.tag} {listed.size_bytes}".encode())[:_TAG]


def short(sha256: str) -> str:
    """The digits of an image's hash that stand in keys."""
    return sha256[:_SHA256]


def stem_of(folder: str, image: str, tag: str, sha256: str) -> str:
    """The key of a result without suffix. Raises InputError for an image's key that is no path."""
    if any(part in ("", ".", "..") for part in image.split("/")) or "\0" in image:
        raise InputError(
            f"{image!r}: a key with an empty part, . or .. makes no key of a result; copy the "
            "image to another key"
        )
    return f"{folder}/{image}.{tag}-{short(sha256)}"


def suffix_of(name: str, base: str) -> str:
    """The suffix of the key of a file of a result: that of depth/NAME.png is .depth.png.

    name  of the file where results lie in folders; its last part begins with `base`
    """
    folder, _, last = name.rpartition("/")
    return "".join(f".{part}" for part in folder.split("/") if part) + last[len(base) :]


def described(key: str) -> str:
    """The image whose result a .json of this key describes; "" for another object.

    key  without the job's folder
    """
    found = _DESCRIBES.fullmatch(key)
    return found[1] if found else ""


def own_key(stem: str, suffix: str, sha256: str) -> str:
    """The key of a file whose usual key has other bytes."""
    return f"{stem}.{sha256[:_OWN]}{suffix}"


def span(folder: str, images: Sequence[str]) -> tuple[str, str]:
    """The keys that the results of these images lie between."""
    first, last = min(f"{image}." for image in images), max(f"{image}.g" for image in images)
    return f"{folder}/{first}", f"{folder}/{last}"


def whole_results(
    folder: str, suffixes: Sequence[str], listed: Iterable[Listed]
) -> dict[str, list[Stored]]:
    """Whole results by image, among objects of the folder."""
    ends = "|".join(map(re.escape, sorted(suffixes, key=len, reverse=True)))
    pattern = re.compile(rf"{_STEM}(?:\.[0-9a-f]{{{_OWN}}})?({ends})", re.DOTALL)
    files: defaultdict[tuple[str, str, str], dict[str, tuple[str, int]]] = defaultdict(dict)
    for each in listed:
        found = pattern.fullmatch(each.key, len(folder) + 1)
        if found:
            files[found[1], found[2], found[3]][found[4]] = each.key, each.size_bytes
    whole: dict[str, list[Stored]] = {}
    for (image, tag, sha256), by_suffix in files.items():
        if set(by_suffix) == set(suffixes):
            stored = Stored(tag, sha256, dict(by_suffix[suffix] for suffix in suffixes))
            whole.setdefault(image, []).append(stored)
    return whole
