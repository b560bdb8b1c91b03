"""Puts the files of a result into a store, so that of several writers one wins and none is torn.

Every object is created by a conditional put and never replaced, so no writer changes what another
describes. The .json comes last: the result whose .json is there is the result of its image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Optional

from depth.errors import StoreError
from depth.family import DEPTH
from depth.files import sha256_bytes
from depth.maps.consumer import NamedBytes, PresetFiles
from depth.maps.files import PREVIEW_SUFFIX, SIDECAR_SUFFIX, encode_map, output_names
from depth.maps.meta import MAX_JSON_BYTES, Description, Encoding, Part, parse_sidecar
from depth.maps.thumbnail import thumbnail
from depth.store.objects import ObjectStore
from serve.jobs.objects.damage import MAX_FILE_BYTES, damage
from serve.jobs.objects.keys import own_key, suffix_of
from serve.jobs.stage import ImageResult, Pixels


@dataclass(frozen=True)
class Published:
    """The result that is in the store now.

    sizes_bytes  of its files by key, depth first and the .json last
    won          False: another writer was first, and its result is whole
    """

    sizes_bytes: Mapping[str, int]
    won: bool


def publish(
    store: ObjectStore,
    stem: str,
    result: ImageResult,
    pixels: Pixels,
    formats: Sequence[str],
    preview: bool,
    preset: Optional[PresetFiles] = None,
) -> Published:
    """Put the files of a result under keys that begin with `stem`.

    pixels  of the image, uint8 [H,W,3] BGR, for the preview
    preset  further files, named after the last part of `stem`; of each the folder joins the suffix

    Raises StoreError if the store fails or if what is there can be neither used nor replaced, and
    InputError for values that the formats cannot say.
    """
    base = PurePosixPath(stem).name
    of_preset = [name for name, _ in preset.files.values()] if preset else []
    names = output_names(base, formats, preview, tuple(result.maps), of_preset)[len(of_preset) :]
    parts = [(name, kind) for name in _depth_first(result) for kind in formats]
    encodings: dict[Part, Encoding] = {}
    files: dict[Part, NamedBytes] = {}
    sizes_bytes: dict[str, int] = {}
    if preset is not None:
        put = {
            role: _put(store, stem, suffix_of(name, base), data, sizes_bytes)
            for role, (name, data) in preset.files.items()
        }
        preset = replace(preset, files=put)
    for part, name in zip(parts, names):
        made = encode_map(result, part[1], result.source, part[0])
        encodings[part] = made.encoding
        files[part] = _put(store, stem, suffix_of(name, base), made.data, sizes_bytes)
    picture = None
    if preview:
        data = thumbnail(result.depth, pixels)
        picture = _put(store, stem, PREVIEW_SUFFIX, data, sizes_bytes)
    beside = Description(result, result.source, encodings).beside(files, picture, preset)
    return _commit(store, stem + SIDECAR_SUFFIX, beside, sizes_bytes)


def _depth_first(result: ImageResult) -> list[str]:
    return [DEPTH, *sorted(result.others)]


def _put(
    store: ObjectStore, stem: str, suffix: str, data: bytes, sizes_bytes: dict[str, int]
) -> NamedBytes:
    """Put a file where no other bytes are; returns its name and its bytes."""
    key, sha256 = stem + suffix, sha256_bytes(data)
    if not store.write_if(key, data, None) and not _has(store, key, sha256):
        key = own_key(stem, suffix, sha256)
        if not store.write_if(key, data, None) and not _has(store, key, sha256):
            raise StoreError(f"{store.name}/{key}: is not what its name says; delete it")
    sizes_bytes[key] = len(data)
    return key.rpartition("/")[2], data


def _has(store: ObjectStore, key: str, sha256: str) -> bool:
    found = store.read(key, MAX_FILE_BYTES)
    return found is not None and sha256_bytes(found.data) == sha256


def _commit(
    store: ObjectStore, key: str, beside: bytes, sizes_bytes: Mapping[str, int]
) -> Published:
    """Put the .json. An older .json stays if all its files are whole, and is replaced if not."""
    ours = Published({**sizes_bytes, key: len(beside)}, won=True)
    if store.write_if(key, beside, None):
        return ours
    found = store.read(key, MAX_JSON_BYTES)
    if found is not None and found.data == beside:  # a put whose answer was lost is sent again
        return ours
    if found is not None:
        damaged = damage(store, key, found.data)
        if not damaged:
            return Published(_listed(key, found.data), won=False)
        if store.write_if(key, beside, found.tag):
            return ours
    raise StoreError(
        f"{store.name}/{key}: describes files that are missing or damaged, and cannot be "
        "replaced; delete it, then run the job again"
    )


def _listed(key: str, data: bytes) -> dict[str, int]:
    folder = key.rpartition("/")[0]
    files = parse_sidecar(data).files.values()
    return {**{f"{folder}/{file.name}": file.size_bytes for file in files}, key: len(data)}
