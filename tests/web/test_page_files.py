"""The files of the page by themselves, without a browser: self-contained, in step with exports."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from depth.exports.distance import FAR_OVER_NEAR
from depth.exports.surface import EDGE_RATIO, SKY_FROM
from tests.support.places import ROOT

PAGE = ROOT / "serve/service/page"
FILES = sorted(path for path in PAGE.iterdir() if path.suffix != ".md")
MAX_LINES = 299


def complaints(name: str, text: str) -> list[str]:
    """What a strict Content-Security-Policy or a machine without a network would refuse."""
    found = []
    hosts = re.sub(r'xmlns="http://www\.w3\.org/2000/svg"', "", text)
    if re.search(r"(https?:)?//[\w-]+\.\w", hosts):
        found.append("names another host")
    if name.endswith(".html"):
        inline = r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+="
        found += [f"inline: {each}" for each in re.findall(inline, text)]
        for path in re.findall(r'(?:src|href)="/page/([^"]*)"', text):
            if not (PAGE / path).is_file():
                found.append(f"there is no {path}")
    if name.endswith(".js"):
        for path in re.findall(r'from "\./([^"]*)"', text):
            if not (PAGE / path).is_file():
                found.append(f"there is no {path}")
        if re.search(r"\beval\(|new Function\(|innerHTML", text):
            found.append("makes code or markup of texts")
    if len(text.splitlines()) > MAX_LINES:
        found.append(f"{len(text.splitlines())} lines")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_stands_alone(path: Path) -> None:
    assert complaints(path.name, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.html", "<script>x()</script>"),
        ("a.html", '<p style="color: red">'),
        ("a.html", '<p onclick="x()">'),
        ("a.html", '<script src="/page/none.js"></script>'),
        ("a.html", '<link href="https://example.org/a.css">'),
        ("a.js", 'import { x } from "./none.js";'),
        ("a.js", "p.innerHTML = text;"),
        ("a.css", "@import url(//example.org/a.css);"),
        ("a.js", "\n" * (MAX_LINES + 1)),
    ],
)
def test_what_would_not_is_found(name: str, text: str) -> None:
    assert complaints(name, text)


def test_limits_are_those_of_exports() -> None:
    text = (PAGE / "mesh.js").read_text(encoding="utf-8")
    found = dict(re.findall(r"export const ([A-Z_]+) = ([\d.]+);", text))
    assert {name: float(value) for name, value in found.items()} == {
        "FAR_OVER_NEAR": FAR_OVER_NEAR,
        "EDGE_RATIO": EDGE_RATIO,
        "SKY_FROM": SKY_FROM,
    }
