"""Builds on demand without a new interpreter, whose start and imports take seconds."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest

from depth.child import child_command
from tests.support.jobs import command


def compile_in_this_process(patch: pytest.MonkeyPatch) -> None:
    """Let `compile.on_demand.Cache` build here: same command line, output and exit code."""

    def run(_stopped: object, words: Sequence[str], _environment: object) -> tuple[int, str]:
        begin = child_command("compile")
        assert words[: len(begin)] == begin
        arguments = words[len(begin) :]
        ended = command(*arguments)
        sys.stderr.write(ended.err)
        return ended.code, ended.out

    patch.setattr("compile.on_demand.run_until", run)
