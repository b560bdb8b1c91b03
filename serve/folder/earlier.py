"""Files of earlier runs that a result takes the place of, in part: the manifest remembers them.

A rerun with another preset or in other formats replaces the .json of an image, and with it all that
is said of files of the earlier run. `clean` would know nothing of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath

from depth.artifact.strict_json import parse_object
from depth.errors import DepthFileError
from depth.files import read_regular
from depth.maps.meta import MAX_JSON_BYTES, parse_sidecar
from depth.maps.names import SIDECAR_SUFFIX
from serve.folder.manifest import SEQUENCE, JobManifest, Unlisted

MAX_SEQUENCE_BYTES = 2_000_000_000


def remember(manifest: JobManifest, image: str, stay: Collection[str]) -> None:
    """Have the manifest remember the files of an image's last entry, less those that stay listed.

    stay  names inside the output folder: of the image's new result

    Call it before these files are replaced: the .json has their sha256. What it does not list with
    a sha256 is not remembered. Raises ManifestError.
    """
    last = manifest.find(image)
    left = set(last.outputs) - set(stay) if last else set()
    if last is None or not left:
        return
    found = _listed(manifest.path.parent, filter(is_json, last.outputs))
    sha256s = {name: found[name] for name in sorted(left) if name in found}
    if sha256s:
        files = {name: Unlisted(last.outputs[name], sha256) for name, sha256 in sha256s.items()}
        manifest.note_unlisted(files)


def _listed(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The sha256 of the files that these .json files list, and their own."""
    found: dict[str, str] = {}
    for name in names:
        with suppress(OSError, *UNREADABLE):
            data = read_regular(folder / name, most_bytes(name))
            found.update(listed_in(name, data))
    return found


UNREADABLE = (ValueError, LookupError, TypeError, RecursionError, DepthFileError)


def is_json(name: str) -> bool:
    return name.endswith(SIDECAR_SUFFIX)


def most_bytes(name: str) -> int:
    """The most bytes that a .json of ours has."""
    return MAX_SEQUENCE_BYTES if name == SEQUENCE else MAX_JSON_BYTES


def listed_in(name: str, data: bytes) -> dict[str, str]:
    """The sha256 of the files that a .json lists, and its own, by names in the output folder.

    Raises one of UNREADABLE for what is no .json of ours.
    """
    if name == SEQUENCE:
        files = parse_object(data)["files"]
        found = {key: str(each["sha256"]) for key, each in files.items()}
    else:
        found = {key: each.sha256 for key, each in parse_sidecar(data).files.items()}
    beside = PurePosixPath(name).parent
    listed = {str(beside / key): sha256 for key, sha256 in found.items()}
    return {**listed, name: hashlib.sha256(data).hexdigest()}
