"""The token that requests have to carry: from a file or from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Optional

from depth.errors import InputError
from depth.files import read_text

TOKEN = "DEPTH_TOKEN"  # noqa: S105 - the name of a variable
_MAX_BYTES = 4096


def token_of(file: Optional[Path], environment: Mapping[str, str]) -> Optional[str]:
    """The token of an operator; None if there is none. A line feed at its end does not count.

    Raises InputError for a file that cannot be read, and for two tokens.
    """
    given = environment.get(TOKEN)
    if file is None:
        return given
    if given is not None:
        raise InputError(f"{TOKEN} and --token-file are both there: use one")
    try:
        return read_text(file, _MAX_BYTES).strip()
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: cannot be read as a token: {error}") from error
