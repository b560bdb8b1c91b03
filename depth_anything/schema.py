"""`python main.py schema`: the JSON Schema of what is said about results."""

from __future__ import annotations

import json

import click
import typer

from depth.maps.schema import SCHEMAS, schema_named


def schema(name: str = typer.Argument(click_type=click.Choice(SCHEMAS))) -> None:
    """Print a JSON Schema of the JSON beside depth files.

    result: NAME.json beside the files of an image. description: the JSON inside a depth file, and
    of an HTTP answer. report: a line of depth-report.jsonl.
    """
    typer.echo(json.dumps(schema_named(name), indent=2))
