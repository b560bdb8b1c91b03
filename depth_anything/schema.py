"""`python main.py schema`: the JSON Schema of what is said about results and scenes."""

from __future__ import annotations

import json

import click
import typer

from depth.maps.schema import SCHEMAS, schema_named
from depth.scenes.schema import SCENE, scene_schema


def schema(name: str = typer.Argument(click_type=click.Choice((*SCHEMAS, SCENE)))) -> None:
    """Print the JSON Schema of JSON beside depth files, or of scenes.

    result: NAME.json beside the files of an image. description: the JSON inside a depth file, and
    of an HTTP answer. report: a line of depth-report.jsonl. scene: scene.json.
    """
    found = scene_schema() if name == SCENE else schema_named(name)
    typer.echo(json.dumps(found, indent=2))
