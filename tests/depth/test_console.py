"""Bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from depth import console


@pytest.fixture(params=[True, False], ids=["terminal", "file"])
def terminal(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def shown(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> io.StringIO:
    """Everything that is printed from now on."""
    out = io.StringIO()
    stderr = Console(file=out, force_terminal=terminal, width=100)
    monkeypatch.setattr(console, "_stderr", lambda: stderr)
    return out


def test_steps_are_counted(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    out = shown(monkeypatch, terminal)
    with console.steps(2) as step:
        step("first")
        step("second")
    if terminal:
        assert "2/2" in out.getvalue()
    else:
        assert out.getvalue() == "first\nsecond\n"


def test_many_steps_say_how_much_is_left(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    out = shown(monkeypatch, terminal)
    clock = iter(range(100, 300, 5))
    monkeypatch.setattr("depth.console.time", SimpleNamespace(monotonic=lambda: next(clock)))
    with console.steps(20) as step:
        for name in "abc":
            step(name)
    if terminal:
        assert "-:--:--" in out.getvalue(), "a column of the time left"
    else:
        assert out.getvalue() == (
            "a (1 of 20)\nb (2 of 20, about 0:03:10 left)\nc (3 of 20, about 0:02:15 left)\n"
        )


def test_bytes_are_counted_and_may_be_taken_back(
    monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    out = shown(monkeypatch, terminal)
    with console.transfer("file", 2_000_000) as on_bytes:
        for size_bytes in (1_500_000, -500_000, 1_000_000):
            on_bytes(size_bytes)
    if terminal:
        assert "2.0/2.0 MB" in out.getvalue()
    else:
        assert out.getvalue() == "file: up to 2.0 MB\n"


def test_a_step_of_any_name_is_shown(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    out = shown(monkeypatch, terminal)
    with console.steps(1) as step:
        step("a[/b].jpg")
    console.say("c[/d]\x1b.jpg")
    assert "c[/d]\\x1b.jpg\n" in out.getvalue()
    assert terminal or out.getvalue().startswith("a[/b].jpg\n")


@pytest.mark.parametrize(
    ("text", "shown_as"),
    [
        ("a\nb\t\x1b[2J\x7f\x9b\u2028\u202e", r"a\nb\t\x1b[2J\x7f\x9b\u2028\u202e"),
        ("名前 ä\u00a0😀\udce9", "名前 ä\u00a0😀\udce9"),
        ("(http://u:p@h/x, https://u@h)", "(http://h/x, https://h)"),
        ("a@b.c and http://h/x", "a@b.c and http://h/x"),
    ],
)
def test_a_line_is_text_and_nothing_else(text: str, shown_as: str) -> None:
    assert console.one_line(text) == shown_as


def test_lines_of_a_message_stay() -> None:
    assert console.printable("a\nb\x1b") == "a\nb\\x1b"
