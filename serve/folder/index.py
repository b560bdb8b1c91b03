"""index.html of an output folder: every depth map as a picture, with links to its files.

The page shows what is there, by the job's report and the .json files. All links are relative, and
the page has no script and nothing from elsewhere, so it works from the disk. A further page begins
after every `PAGE_IMAGES` images. The last line of a page is the sha256 of the other lines: the job
never replaces a page that another program wrote or somebody changed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any, Optional
from urllib.parse import quote

from depth.console import one_line
from depth.files import read_regular, sha256_bytes, write_whole
from depth.maps.meta import MAX_JSON_BYTES
from depth.maps.names import SIDECAR_SUFFIX, sidecar_in
from serve.errors import ManifestError
from serve.folder.manifest import MANIFEST, JobManifest, manifest_in
from serve.jobs.entry import DONE, FAILED, Entry

PAGE_IMAGES = 500
_MAX_PAGE_BYTES = 100_000_000
_SEAL = "<!-- sha256 of the lines above: {} -->\n"
_HEAD = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Depth maps</title>
<style>
body { font: 15px sans-serif; margin: 1.5em; color: #222; background: #fff }
main { display: grid; gap: 1.5em; grid-template-columns: repeat(auto-fill, minmax(340px, 1fr)) }
figure { margin: 0; overflow-wrap: anywhere }
img { max-width: 100%; min-height: 60px }
</style>
"""


def write_index(folder: Path) -> Optional[Path]:
    """Write the pages of an output folder; returns the first, or None without a report.

    Raises ManifestError if another job is writing there or a page there is not one of ours, OSError
    if the disk refuses.
    """
    if not os.path.lexists(folder / MANIFEST):
        return None
    with manifest_in(folder, writable=True) as report:
        names = sorted(report.images)
        pages = [names[at : at + PAGE_IMAGES] for at in range(0, len(names), PAGE_IMAGES)] or [[]]
        for number, page in enumerate(pages):
            path = _page_path(folder, number)
            _check_ours(path)
            write_whole(path, _sealed(_page(report, folder, page, number, len(pages))))
        for path in pages_of(folder, first=len(pages)):
            path.unlink()
    return _page_path(folder, 0)


def pages_of(folder: Path, first: int = 0) -> Iterator[Path]:
    """The unchanged pages of ours in a folder, from page `first`, counted from 0."""
    for number in count(first):
        path = _page_path(folder, number)
        if not os.path.lexists(path):
            return
        if is_page(path):
            yield path


def is_page(path: Path) -> bool:
    """Whether a file is a page of ours that nobody changed. Never follows a link."""
    if path.is_symlink():
        return False
    with suppress(OSError):
        lines, end, seal = read_regular(path, _MAX_PAGE_BYTES).rpartition(b"<!-- sha256")
        return (end + seal).decode("utf-8", "replace") == _SEAL.format(sha256_bytes(lines))
    return False


def _page_path(folder: Path, number: int) -> Path:
    return folder / ("index.html" if not number else f"index-{number + 1}.html")


def _check_ours(path: Path) -> None:
    if os.path.lexists(path) and not is_page(path):
        raise ManifestError(
            f"{path}: another program wrote this page, or somebody changed it; it was left as it "
            "is: move it away"
        )


def _sealed(text: str) -> str:
    lines = text.encode("utf-8", "backslashreplace")  # as `write_whole` writes it
    return text + _SEAL.format(sha256_bytes(lines))


@dataclass(frozen=True)
class _Facts:
    """What the .json of an image says."""

    values: str  # their range, with the unit, and what they mean
    model: str
    preview: Optional[str]  # its name
    notes: Sequence[str]


def _page(report: JobManifest, folder: Path, images: Sequence[str], number: int, pages: int) -> str:
    figures: list[str] = []
    failed = 0
    for image in images:
        entry = report.find(image)
        if entry is not None and entry.status == DONE:
            figures += _figure(entry, folder)
        failed += entry is not None and entry.status == FAILED
    parts = [_HEAD, "<h1>Depth maps</h1>\n"]
    parts.append("<p>Left the image, right its depth: red is near, blue is far.</p>\n")
    if failed:
        reasons = f'the reasons are in <a href="{MANIFEST}">{MANIFEST}</a>'
        parts.append(f"<p>{failed} images of this page failed: {reasons}.</p>\n")
    links = _links_between(number, pages)
    return "".join([*parts, links, "<main>\n", *figures, "</main>\n", links, "</html>\n"])


def _links_between(number: int, pages: int) -> str:
    if pages == 1:
        return ""
    names = (_page_path(Path(), page).name for page in range(pages))
    shown = (
        f"<b>{page + 1}</b>" if page == number else f'<a href="{name}">{page + 1}</a>'
        for page, name in enumerate(names)
    )
    return f"<p>Page {' '.join(shown)}</p>\n"


def _figure(entry: Entry, folder: Path) -> Iterator[str]:
    """The figure of a result whose .json is there; nothing without it."""
    there = [name for name in entry.outputs if _is_inside(name) and (folder / name).is_file()]
    beside = sidecar_in(there)
    facts = _facts(folder / beside) if beside else None
    if facts is None or beside is None:
        return
    preview = str(PurePosixPath(beside).with_name(facts.preview)) if facts.preview else None
    if preview in there:
        picture = f'<img src="{_url(preview)}" alt="" loading="lazy">'
        yield f'<figure>\n<a href="{_url(preview)}">{picture}</a>\n'
        there.remove(preview)
    else:
        yield "<figure>\n<p>no preview</p>\n"
    yield f"<figcaption><b>{_text(entry.image)}</b><br>\n"
    yield f"{_text(facts.values)}<br>\nmodel {_text(facts.model)}<br>\n"
    if entry.fit is not None:
        yield f"fit: {_text(entry.fit.text())}<br>\n"
    yield from (f"{_text(note)}<br>\n" for note in facts.notes)
    yield " ".join(f'<a href="{_url(name)}">{_text(_kind(name, beside))}</a>' for name in there)
    yield "\n</figcaption>\n</figure>\n"


def _kind(name: str, beside: str) -> str:
    """What an output is called in a link: "png", "sky.png", "json"."""
    stem = beside[: -len(SIDECAR_SUFFIX)]
    if name.startswith(f"{stem}."):
        return name[len(stem) + 1 :]
    return PurePosixPath(name).relative_to(PurePosixPath(beside).parent).as_posix()


def _is_inside(name: str) -> bool:
    """Whether a name of the report stays in the output folder."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in name


def _facts(path: Path) -> Optional[_Facts]:
    """Read leniently, since thousands are read and the page is for eyes; None if it cannot be."""
    try:
        found: Any = json.loads(read_regular(path, MAX_JSON_BYTES))
        depth, preview = found["maps"]["depth"], found["preview"]
        low, high = (float(value) for value in depth["valid_range"])
        unit = f" {depth['unit']}" if depth["unit"] else ""
        return _Facts(
            f"{low:.4g} to {high:.4g}{unit}: {depth['meaning']}",
            str(found["provenance"]["model"]),
            None if preview is None else str(preview["name"]),
            _notes(found["source"]),
        )
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return None


def _notes(source: Mapping[str, Any]) -> list[str]:
    notes = source.get("notes")
    return [str(note) for note in notes] if isinstance(notes, list) else []


def _text(text: str) -> str:
    return escape(one_line(text))


def _url(name: str) -> str:
    return quote(os.fsencode(name))
