"""Pages are for readers in a hurry: no sentence has more than 25 words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.architecture import PACKAGES
from tests.support.places import ROOT

MAX_WORDS = 25
TOP = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "checkpoints/demo/README.md")
DOCS = (
    "docs/benchmarks.md",
    "docs/host-path.md",
    "docs/int8.md",
    "infra/README.md",
    "infra/RUNBOOK.md",
)
IN_PACKAGES = [page for package in PACKAGES for page in sorted((ROOT / package).rglob("*.md"))]
PAGES = [*(ROOT / name for name in (*TOP, *DOCS)), *IN_PACKAGES]

# A sentence that may be longer: its page and its first words, with the reason.
ALLOWED: dict[tuple[str, str], str] = {}


def blocks(text: str) -> Iterator[str]:
    """Each paragraph, list item, heading and table cell on one line; indented code is left out."""
    block = ""
    for line in [*text.splitlines(), ""]:
        bare, code = line.strip(), line.startswith("    ")
        item = re.match(r"(?:[-*]|\d+\.) ", bare)
        if item or code or not bare or bare[0] in "|#":
            yield block
            block = ""
        if bare[:1] == "|":
            yield from bare.split("|")
        elif bare[:1] == "#":
            yield bare
        elif not code:
            block += " " + bare[item.end() if item else 0 :]


def sentences(text: str) -> Iterator[str]:
    """Every sentence of a page, without code blocks.

    Code between backticks is one word; of a link its text counts.
    """
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S)
    code_in_one_word = re.sub(r"`[^`]*`", lambda code: re.sub(r"\s", "·", code[0]), prose)
    for block in blocks(code_in_one_word):
        plain = re.sub(r"\]\([^)]*\)", "]", block)
        yield from re.split(r"(?<=[.!?])[*)]*\s+(?=[^a-z])", plain.strip())


def word_count(sentence: str) -> int:
    return sum(any(map(str.isalnum, word)) for word in sentence.split())


def too_long(page: str, text: str) -> list[str]:
    allowed = [start for where, start in ALLOWED if where == page]
    long = [sentence for sentence in sentences(text) if word_count(sentence) > MAX_WORDS]
    return [sentence for sentence in long if not sentence.startswith(tuple(allowed))]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_sentence_is_short(path: Path) -> None:
    page = str(path.relative_to(ROOT))
    assert too_long(page, path.read_text(encoding="utf-8")) == []


def test_every_exception_is_still_needed() -> None:
    for page, start in ALLOWED:
        found = sentences((ROOT / page).read_text(encoding="utf-8"))
        assert [s for s in found if s.startswith(start) and word_count(s) > MAX_WORDS], start


LONG = " ".join(["word"] * (MAX_WORDS + 1))
FOUND = [f"Short.\n{LONG}.", f"- {LONG}", f"1. {LONG}", f"| cell | {LONG} |", f"# {LONG}"]
FOUND += [LONG.replace(" ", end, 9) for end in ("\n", "; ", ", e.g. ")]
FOUND += [LONG.replace("word", word) for word in ("[a](b c)", "`a b`", "**a**")]
FOUND += [f"```\ncode\n```\n{LONG}", f"```\nan odd `\n```\n{LONG}"]
PASSES = [LONG.replace(" ", between, 12) for between in (". Then ", "\n- ", "\n1. ")]
PASSES += ["| " + LONG.replace(" ", " | ", 12), f"`{LONG}`", f"[a]({LONG})"]
PASSES += [f"```\n{LONG}\n```", f"   ```\n   {LONG}\n   ```", f"    {LONG}"]


@pytest.mark.parametrize("text", FOUND)
def test_a_long_sentence_is_found(text: str) -> None:
    assert len(too_long("a.md", text)) == 1


@pytest.mark.parametrize("text", PASSES)
def test_short_sentences_and_code_pass(text: str) -> None:
    assert too_long("a.md", text) == []
