"""How every command line of the project begins and ends: plain help, one line for an error."""

from __future__ import annotations

import codecs
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import Any, Callable, Optional

import typer

from depth.errors import DepthAnythingError

FAILED, USAGE = 1, 2


def command_line(no_args_is_help: bool = False) -> typer.Typer:
    """An app to add commands to. Its help is plain text: boxes take three times as long."""
    return typer.Typer(
        no_args_is_help=no_args_is_help,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )


def path_option(default: Any, text: str) -> Any:
    """An option whose value is a path: a leading ~ is the home folder, and "" is refused."""
    return typer.Option(default, parser=_path, metavar="PATH", help=text)


def _path(text: object) -> Path:
    if not str(text):
        raise typer.BadParameter("an empty path; leave the option out for its default")
    try:
        return Path(str(text)).expanduser()
    except (KeyError, RuntimeError) as error:  # KeyError: of Python 3.9, for an unknown user id
        raise typer.BadParameter(f"{text}: no home directory: {error}") from error


def guarded(app: Callable[..., object], name: str, *errors: type[Exception]) -> None:
    """Run a typer app called `name`; its `errors` become one line on stderr and an exit code.

    The code is 2, as for an unknown option, if a value that the user gave is wrong; else 1.
    """
    _open_streams()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    ours: tuple[type[Exception], ...] = (DepthAnythingError, *errors)
    try:
        app(prog_name=name)
    except ours as error:
        typer.echo(f"{name}: {error}", err=True)
        sys.exit(USAGE if isinstance(error, ValueError) else FAILED)


def _open_streams() -> None:
    """Let a command print any file name, and run with stdout or stderr closed."""
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    for stream, in_utf8 in ((sys.stdout, "surrogateescape"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, TextIOWrapper) and stream.errors == "strict":
            # As in Python's locale C.UTF-8; other encodings cannot print such bytes.
            utf8 = codecs.lookup(stream.encoding).name == "utf-8"
            stream.reconfigure(errors=in_utf8 if utf8 else "backslashreplace")


@contextmanager
def ends_on_sigterm() -> Iterator[None]:
    """Raise SystemExit in the main thread on SIGTERM, so that clean-up code runs.

    Without it, processes that we started would continue. Call it in the main thread.
    """

    def end(number: int, _frame: Optional[FrameType]) -> None:
        # `timeout` and others send SIGTERM twice; the second must not interrupt the clean-up.
        signal.signal(number, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
