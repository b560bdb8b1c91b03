"""index.html of a folder of masks: every image with its masked parts tinted. Without a script."""

from __future__ import annotations

import os
from collections.abc import Iterator
from html import escape
from pathlib import Path
from urllib.parse import quote

from depth.console import one_line
from depth.files import read_regular, write_whole
from depth.masks.region import MUCH
from serve.errors import ManifestError
from serve.jobs.entry import DONE, FAILED
from serve.masks.report import REPORT, Line, MaskReport

PAGE = "index.html"
_MARK = "<!-- a page of masks; it is written anew by every job -->"
_MAX_BYTES = 1_000_000_000
_HEAD = f"""<!DOCTYPE html>
{_MARK}
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Masks</title>
<style>
body {{ font: 15px sans-serif; margin: 1.5em; color: #222; background: #fff }}
main {{ display: grid; gap: 1.5em; grid-template-columns: repeat(auto-fill, minmax(340px, 1fr)) }}
figure {{ margin: 0; overflow-wrap: anywhere }}
img {{ max-width: 100%; min-height: 60px }}
.much {{ color: #b00020 }}
</style>
<h1>Masks</h1>
<p>Red parts are left out. The link leads to the mask.</p>
"""


def write_page(folder: Path, report: MaskReport) -> Path:
    """Write the page. Raises ManifestError for a page of another program, OSError by the disk."""
    path = folder / PAGE
    if os.path.lexists(path) and _MARK.encode() not in read_regular(path, _MAX_BYTES)[:200]:
        raise ManifestError(f"{path}: another program wrote this page; move it away")
    lines = [report.lines[name] for name in sorted(report.lines)]
    failed = [line for line in lines if line.status == FAILED]
    parts = [_HEAD]
    if failed:
        parts.append(f'<p>{len(failed)} images failed: <a href="{REPORT}">{REPORT}</a></p>\n')
    figures = "".join(_figure(line) for line in lines if line.status == DONE)
    write_whole(path, "".join([*parts, "<main>\n", figures, "</main>\n</html>\n"]))
    return path


def _figure(line: Line) -> str:
    return "".join(_parts(line))


def _parts(line: Line) -> Iterator[str]:
    mask = _url(line.mask.name) if line.mask is not None else ""
    yield f'<figure>\n<a href="{mask}">'
    if line.preview is not None:
        yield f'<img src="{_url(line.preview.name)}" alt="" loading="lazy">'
    yield f"</a>\n<figcaption><b>{_text(line.image)}</b><br>\n"
    kind = ' class="much"' if line.masked > MUCH else ""
    yield f"<span{kind}>{100 * line.masked:.1f} % masked</span>"
    yield "".join(f", {_text(name)} {100 * share:.1f} %" for name, share in line.sources.items())
    if line.instances:
        found = (f"{_text(name)} {count}" for name, count in line.instances.items())
        yield f"<br>\n{', '.join(found)}"
    yield "\n</figcaption>\n</figure>\n"


def _text(text: str) -> str:
    return escape(one_line(text))


def _url(name: str) -> str:
    return quote(os.fsencode(name))
