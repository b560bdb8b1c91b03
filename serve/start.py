"""The command line of `python -m serve` without its commands: a command can be loaded alone."""

from __future__ import annotations

import typer

from depth.command import command_line


def _serve() -> None:
    """Answer with a compiled artifact: a folder of images becomes depth maps."""


def without_commands() -> typer.Typer:
    """The command line, to add commands to."""
    app = command_line(no_args_is_help=True)
    app.callback()(_serve)
    return app
