"""Names of classes, from the metadata of a file or from a text, both read as hostile input."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from pathlib import Path

from depth.errors import InputError
from depth.files import read_text

MOST_NAMES, _MOST_LETTERS = 2000, 100
_MOST_BYTES = 200_000
_TEXT = r"""(?:'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")"""
# Texts in a dict by number, or in a list. Nothing nested: a parser can run out of stack.
_DICT = re.compile(rf"\{{\s*(?:\d{{1,6}}\s*:\s*{_TEXT}\s*(?:,\s*|(?=\}})))*\}}")
_LIST = re.compile(rf"\[\s*(?:{_TEXT}\s*(?:,\s*|(?=\])))*\]")


def parse_names(text: str) -> tuple[str, ...]:
    """The names in the metadata `names`, such as "{0: 'person', 1: 'car'}", by their numbers.

    Nothing is evaluated but these literals. Raises InputError for any other text, numbers that do
    not count from 0, too many names, or names that are no names.
    """
    if len(text) > _MOST_BYTES:
        raise InputError(f"its names of classes have {len(text)} letters, expected {_MOST_BYTES}")
    text = text.strip()
    if not (_DICT.fullmatch(text) or _LIST.fullmatch(text)):
        raise InputError(
            f"its names of classes are {_short(text)}: expected texts by number, such as "
            "{0: 'person', 1: 'car'}; give them with --names FILE, one a line"
        )
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError) as error:
        raise InputError(f"its names of classes are {_short(text)}: {error}") from error
    if isinstance(found, dict):
        if sorted(found) != list(range(len(found))):
            raise InputError("its names of classes have numbers that do not count from 0")
        found = [found[number] for number in range(len(found))]
    return checked_names(found)


def read_names(path: Path) -> tuple[str, ...]:
    """The names in a text file, one a line. Raises InputError as `parse_names`."""
    try:
        text = read_text(path, _MOST_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as names of classes: {error}") from error
    return checked_names([line.strip() for line in text.splitlines() if line.strip()])


def checked_names(names: Sequence[str]) -> tuple[str, ...]:
    """The names as they are. Raises InputError for what no class can be called."""
    if not 0 < len(names) <= MOST_NAMES:
        raise InputError(f"{len(names)} names of classes: expected 1 to {MOST_NAMES}")
    for name in names:
        if not 0 < len(name) <= _MOST_LETTERS or not name.isprintable():
            raise InputError(
                f"{_short(name)} as the name of a class: expected 1 to {_MOST_LETTERS} letters on "
                "one line"
            )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"two classes are called {_short(twice[0])}; name them apart by --names")
    return tuple(names)


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
