"""The web page on this machine: a model behind the HTTP service, programs built when needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Optional

import typer

from compile.errors import CompileError
from depth.command import choice_option, command_line, guarded, path_option
from depth.family import image_model_named, image_models, model_named
from serve.errors import ServeError

app = command_line()

_MODEL = choice_option(
    None,
    image_models(),
    "By default vits, or demo if the weights of vits cannot be had. Models of scenes: main.py da3.",
)
_PRECISION = choice_option(
    "fp32", ("fp32", "bf16", "int8", "auto"), "As `inference.py --precision`."
)
_POLICY = choice_option(
    "buckets",
    ("buckets", "exact"),
    "buckets: the nearest of seven common shapes, so at most seven programs are compiled. exact: "
    "upstream's size for every image; each new size of an image waits for its own program.",
)
_CHECKPOINT = path_option(
    None, "Weights file; by default the model's own in checkpoints/, or downloaded."
)
_ARTIFACTS = path_option(Path("artifacts"), "Where compiled programs are kept.")
_LANDSCAPE = (1200, 1600)  # (height, width) px: the first program that is made
_DEADLINE_S = 900.0  # an image may wait for the compiler
_SAMPLES = path_option(
    Path("input_images/samples"), "Folder of images that the page offers; left out if missing."
)


@app.command()
def page(
    model: Optional[str] = _MODEL,
    precision: str = _PRECISION,
    policy: str = _POLICY,
    input_size: Optional[int] = typer.Option(
        None, min=1, help="Side of the network's input in px, as `inference.py --input-size`."
    ),
    checkpoint: Optional[Path] = _CHECKPOINT,
    artifacts: Path = _ARTIFACTS,
    samples: Path = _SAMPLES,
    port: int = typer.Option(
        8000, min=0, max=65535, help="Port to answer on; 0 takes a free port."
    ),
) -> None:
    """Show the depth of your images on a web page.

    Compiles the model for OpenVINO when first needed, and prints the address of the page. The first
    image of each shape waits for its program, some seconds to a minute.

    Only this machine can open the page; for others there is `python main.py serve http`. Ctrl-C
    ends it, and removes the files of its jobs of many images.
    """
    from compile.on_demand import Cache
    from compile.targets.table import AUTO, default_precision, host_target
    from compile.weights import choose
    from serve.engine import Engine
    from serve.jobs.stage import Stage
    from serve.library import Library
    from serve.service.model import Model
    from serve.service.models import Models
    from serve.service.server import run
    from serve.service.service import Service
    from serve.service.settings import Settings
    from serve.shapes import BUCKETS, common_sizes

    target = "openvino"
    host_target(target, default_precision(target) if precision == AUTO else precision)
    weights = choose(image_model_named(model) if model else None, checkpoint)
    if weights.remark:
        typer.echo(weights.remark, err=True)
    row = model_named(weights.model)
    rule = replace(row.size, side_px=input_size or row.size.side_px)
    cache = Cache(artifacts, weights, target, precision, samples)
    library = Library(cache.artifacts(), build=cache.build)
    sizes = common_sizes(rule)
    engine = Engine(library, policy, rule, sizes if policy == BUCKETS else ())
    first = [] if library.sizes else [_LANDSCAPE]
    stage = Stage(engine, first, weights.remark, stand_in=weights.stand_in)
    offered = samples if samples.is_dir() else None
    typer.echo("getting the model ready…", err=True)
    with TemporaryDirectory(prefix="depth-jobs-") as jobs:
        settings = Settings(port=port, deadline_s=_DEADLINE_S, samples=offered, jobs=Path(jobs))
        run(
            Service(Models(), settings),
            [Model(weights.model, stage, settings.queue)],
            lambda url: typer.echo(f"{url}/"),
        )


def main() -> None:
    """Run the command line as app.py."""
    guarded(app, "app.py", CompileError, ServeError)
