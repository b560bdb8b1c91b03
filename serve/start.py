"""Starts a command of `python -m serve`. The sidecar, a process per image, is loaded alone."""

from __future__ import annotations

import sys

import typer

from depth.command import command_line, guarded
from serve.errors import ServeError


def _serve() -> None:
    """Answer with a compiled artifact: a folder of images becomes depth maps."""


def without_commands() -> typer.Typer:
    """The command line of `python -m serve`, to add commands to."""
    app = command_line(no_args_is_help=True)
    app.callback()(_serve)
    return app


def main(name: str = "python -m serve") -> None:
    """Run the command line. `name` stands in its help and messages."""
    if sys.argv[1:2] == ["sidecar"]:
        from serve.sidecar.cli import sidecar

        app = without_commands()
        app.command()(sidecar)
    else:
        from serve.cli import app
    guarded(app, name, ServeError)
