"""The help of `python -m serve`: whole summaries, choices as choices, no needless negatives."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner, Result

from serve.cli import app

NARROW = 80


def help_of(*words: str) -> str:
    found: Result = CliRunner().invoke(app, [*words, "--help"], terminal_width=NARROW)
    assert found.exit_code == 0
    return found.stdout


def test_no_summary_is_cut() -> None:
    listed = help_of().split("Commands:")[1]
    assert len(listed.strip().splitlines()) == len(app.registered_commands) > 4
    assert "..." not in listed


@pytest.mark.parametrize("name", ["folder", "bench"])
def test_what_is_off_by_default_has_no_negative(name: str) -> None:
    shown = help_of(name)
    assert "--allow-unverified " in shown
    assert "--no-allow" not in shown


def test_a_wrong_policy_is_refused_with_the_choices() -> None:
    assert "--policy [exact|buckets]" in help_of("folder")
    found = CliRunner().invoke(app, ["folder", "x", "--policy", "nearest"])
    assert found.exit_code == 2
    assert "'nearest' is not one of 'exact', 'buckets'" in found.output
