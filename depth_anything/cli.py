"""The command line of the project: `depth --help` or `python main.py --help`.

A command that starts often is loaded alone; any other word loads all commands.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from compile.errors import CompileError
from depth.command import command_line, guarded
from depth_anything import __version__
from serve.errors import ServeError


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


def _options(
    version: bool = typer.Option(  # noqa: ARG001 - the callback handles it
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Compile, verify and serve Depth Anything networks on AWS Inferentia and CPUs.

    \b
    from depth_anything import DepthPipeline
    result = DepthPipeline("vits")("a.jpg")  # result.depth.values: float32 [H,W]
    result.save("a.depth", ["png"])  # a.depth.png, 16 bits, and a.depth.json
    """


def without_commands() -> typer.Typer:
    """The command line, to add commands to."""
    app = command_line(no_args_is_help=True)
    app.callback()(_options)
    return app


def app_for(words: Sequence[str]) -> typer.Typer:
    """What runs a command line: its only command, or all commands.

    words  of the command line, after the program's name
    """
    app = without_commands()
    if words[:1] == ["inference"]:
        from depth_anything.inference import inference

        app.command()(inference)
        return app
    if words[:2] == ["serve", "sidecar"]:
        from depth_anything.sidecar import sidecar
        from serve.start import without_commands as serve

        of_serve = serve()
        of_serve.command()(sidecar)
        app.add_typer(of_serve, name="serve")
        return app
    from depth_anything.commands import app as whole

    return whole


def main(name: str = "depth") -> None:
    """Run the command line. `name` stands in its help and messages."""
    guarded(app_for(sys.argv[1:]), name, CompileError, ServeError)
