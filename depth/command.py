"""How every command line of the project begins and ends: plain help, one line for an error."""

from __future__ import annotations

import atexit
import codecs
import gc
import logging
import os
import select
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from inspect import Parameter, Signature, signature
from io import BufferedWriter, FileIO, TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import Any, Callable, Optional, TextIO, get_type_hints

import click
import typer

from depth.console import printable
from depth.errors import EXTRAS, DepthAnythingError, not_installed

FAILED, USAGE = 1, 2
_IN_BRACKETS = 6  # choices that stand in the first column of a help
_PATH_OR_WORD = ("checkpoint", "images", "out", "store")  # options: a path, or `untrained`, s3://


def command_line(no_args_is_help: bool = False) -> typer.Typer:
    """An app to add commands to. Its help is plain text: boxes take three times as long."""
    return typer.Typer(
        no_args_is_help=no_args_is_help,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )


def path_option(default: Any, text: str, *names: str, envvar: Optional[str] = None) -> Any:
    """An option whose value is a path: a leading ~ is the home folder, and "" is refused.

    names   such as "--input", "-i"; by default from the parameter's name
    envvar  a variable of the environment that stands in for the option
    """
    return typer.Option(default, *names, parser=_path, metavar="PATH", help=text, envvar=envvar)


def choice_option(
    default: Any, choices: Iterable[str], text: str, *names: str, envvar: Optional[str] = None
) -> Any:
    """An option whose value is one of `choices`, which its help lists and a shell can complete."""
    found = list(choices)
    many = len(found) > _IN_BRACKETS
    return typer.Option(
        default,
        *names,
        click_type=click.Choice(found),
        envvar=envvar,
        metavar="NAME" if many else None,
        help=f"{text} One of {', '.join(found)}." if many else text,
    )


def takes_options(kind: type[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Show typer the fields of a dataclass in place of a command's parameter `options`.

    kind  its defaults are typer's options
    """

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        names = [field.name for field in fields(kind)]

        def run(**given: Any) -> None:
            options = kind(**{name: given.pop(name) for name in names})
            command(options=options, **given)

        own = [p for p in signature(command).parameters.values() if p.name != "options"]
        shown = [
            *(Parameter(f.name, Parameter.KEYWORD_ONLY, default=f.default) for f in fields(kind)),
            *(parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in own),
        ]
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__annotations__ = {**get_type_hints(kind), **get_type_hints(command)}
        setattr(run, "__signature__", Signature(shown))  # noqa: B010 - a function's type lacks it
        return run

    return decorated


def _path(text: object) -> Path:
    if not str(text):
        raise typer.BadParameter("an empty path; leave the option out for its default")
    try:
        return Path(str(text)).expanduser()
    except (KeyError, RuntimeError) as error:  # KeyError: of Python 3.9, for an unknown user id
        raise typer.BadParameter(f"{text}: no home directory: {error}") from error


class _HomePath(click.ParamType):
    """What `path_option` does, for an option or argument that a command declares as a Path."""

    name = "path"

    def convert(self, value: Any, *_: object) -> Path:
        return _path(value)


class _HomeText(click.ParamType):
    """A text that may be a path: only a leading ~ is replaced."""

    name = "text"

    def convert(self, value: Any, *_: object) -> str:
        return str(_path(value)) if str(value).startswith("~") else str(value)


def command_of(app: typer.Typer) -> click.Command:
    """The commands of an app; in every path that they take, a leading ~ is the home folder."""
    command = typer.main.get_command(app)
    pending = [command]
    while pending:
        found = pending.pop()
        pending += getattr(found, "commands", {}).values()
        for parameter in found.params:
            if isinstance(parameter.type, click.Path):
                parameter.type = _HomePath()
            elif parameter.name in _PATH_OR_WORD and parameter.type is click.STRING:
                parameter.type = _HomeText()
    return command


def guarded(app: typer.Typer, name: str, *errors: type[Exception]) -> None:
    """Run a typer app called `name`; its `errors` become one line on stderr and an exit code.

    At its end, Python does not look for objects that refer to each other: that took 0.1 s.
    The code is the error's `exit_code` if it has one. Else it is 2, as for an unknown option, if a
    value that the user gave is wrong, and 1 for any other error. It is 1 also if stdout did not
    take the result, unless the command asked for `lost_output` itself.
    """
    atexit.register(gc.freeze)
    _open_streams()
    _log_to_stderr()
    ours: tuple[type[Exception], ...] = (DepthAnythingError, *errors)
    try:
        command_of(app)(prog_name=name, help_option_names=["-h", "--help"])
    except ours as error:
        typer.echo(f"{name}: {printable(str(error))}", err=True)
        code = USAGE if isinstance(error, ValueError) else FAILED
        sys.exit(getattr(error, "exit_code", code))
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRAS:
            raise
        typer.echo(f"{name}: this command needs {not_installed(error)}", err=True)
        sys.exit(FAILED)
    except SystemExit as end:
        lost = lost_output()
        if not lost or end.code:
            raise
        typer.echo(f"{name}: stdout: {lost}; the result is not complete", err=True)
        sys.exit(FAILED)


def lost_output() -> str:
    """Why stdout took no more, such as a full disk; "" if it took everything, or if asked again."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if not isinstance(raw, _Endless):
        return ""
    sys.stdout.flush()
    lost, raw.lost = raw.lost, ""
    return lost


class _Endless(FileIO):
    """An open stream. What it does not take (EPIPE, ENOSPC, EIO) is lost, and ends nothing.

    So the work that a command reports does not depend on the report.
    """

    lost = ""  # why

    def write(self, data: Any) -> int:
        try:
            while (written := super().write(data)) is None:  # another process made it non-blocking
                select.select([], [self], [])
            return written
        except OSError as error:
            self.lost = error.strerror or str(error)
            return memoryview(data).nbytes


class _Printable(logging.Formatter):
    """A log line, and a traceback, without control characters and passwords."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Printable("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def _open_streams() -> None:
    """Let a command print any file name, and run with stdout or stderr closed, full or broken."""
    sys.stdout = _endless(sys.stdout, "surrogateescape")
    sys.stderr = _endless(sys.stderr, "backslashreplace")


def _endless(stream: Optional[TextIO], in_utf8: str) -> TextIO:
    """The stream in the form that a command needs; a stream of a caller's own stays as it is."""
    if stream is None:  # it was closed
        return os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", errors="backslashreplace")
    if type(stream) is not TextIOWrapper:
        return stream
    errors, encoding = stream.errors, stream.encoding
    if codecs.lookup(encoding).name == "ascii":
        encoding = "utf-8"  # for ASCII click opens a stream of its own, which writes ? for a letter
    if errors == "strict":
        # As in Python's locale C.UTF-8; other encodings cannot print such bytes.
        utf8 = codecs.lookup(encoding).name == "utf-8"
        errors = in_utf8 if utf8 else "backslashreplace"
    stream.flush()
    return TextIOWrapper(
        BufferedWriter(_Endless(stream.fileno(), "wb", closefd=False)),
        encoding=encoding,
        errors=errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


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
