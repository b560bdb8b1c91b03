"""All commands of the project."""

from __future__ import annotations

from copy import copy

from compile.cli import app as compile_app
from depth.evaluation.cli import evaluate
from depth.exports.cli import export
from depth_anything.checkpoints_cli import app as checkpoints_app
from depth_anything.cleaning import clean
from depth_anything.cli import without_commands
from depth_anything.da3.cli import app as da3_app
from depth_anything.first_run.cli import first_run
from depth_anything.inference import inference
from depth_anything.panoramas.cli import panorama
from depth_anything.schema import schema
from depth_anything.sidecar import sidecar
from depth_anything.upstream.pictures import run
from depth_anything.upstream.points import pointcloud
from depth_anything.upstream.videos import run_video
from serve.cli import app as serve_app
from serve.masks.cli import masks

app = without_commands()
app.command()(inference)
app.command()(run)
app.command()(run_video)
app.command()(pointcloud)
app.command()(clean)
app.command()(schema)
app.command()(export)
app.command()(masks)
app.command()(panorama)
app.command()(evaluate)
app.command()(first_run)
app.add_typer(da3_app, name="da3", short_help="Scenes of images, videos and COLMAP models.")
app.add_typer(checkpoints_app, name="checkpoints")
app.add_typer(compile_app, name="compile", short_help="Turn a checkpoint into an artifact.")
# Its sidecar takes a model's name and weights too.
_serve = copy(serve_app)
_serve.registered_commands = [c for c in serve_app.registered_commands if c.name != "sidecar"]
_serve.command("sidecar")(sidecar)
app.add_typer(_serve, name="serve", short_help="Answer with a compiled artifact.")
