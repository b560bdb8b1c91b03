"""How far our depth is from that of `transformers`, by the size of the image.

    python -m tests.benchmarks.transformers_sizes FOLDER      # of photographs

Both have `vits` with the same random weights. Prints a table: differences relative to the largest
depth of `transformers`. Takes the CPU lane, for transformers.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import typer
from PIL import Image

from compile.build.build import build
from compile.build.request import Request
from depth.console import markdown
from depth.family import model_named
from depth.weights.checkpoint import Checkpoint
from depth_anything import pipeline
from depth_anything_v2.config import model_row
from depth_anything_v2.layouts import to_ours
from tests.support.transformers_network import SIZE_PX, their_pipeline, theirs

RESIZED_PX = (SIZE_PX, 2 * SIZE_PX)


def main(folder: Path = typer.Argument(..., help="With photographs as JPEG.")) -> None:
    """Compare, and print the table."""
    photos = {path.name: Image.open(path).convert("RGB") for path in sorted(folder.glob("*.jpg"))}
    rows = [row for name, photo in photos.items() for row in _variants(name, photo)]
    network = theirs(_config())
    checkpoint = Checkpoint("random.safetensors", "0" * 64, "none", to_ours(network.state_dict()))
    rule = model_named("vits").size
    sizes = sorted({rule.size_for(image.height, image.width) for _, image in rows})
    request = Request(model_row("random", _config()), checkpoint, "torchscript", "fp32", sizes)
    with tempfile.TemporaryDirectory() as out:
        built = build(request, Path(out))
        with pipeline(model=str(built)) as ours:
            other = their_pipeline(network)
            lines = [(name, *_differences(other(image), ours(image))) for name, image in rows]
    typer.echo("\n".join(markdown(("image", "largest difference", "mean difference"), lines)))


def _config() -> Any:
    return model_named("vits").config


def _variants(name: str, photo: Image.Image) -> list[tuple[str, Image.Image]]:
    whole = (f"{name}, {photo.width}×{photo.height}", photo)
    return [whole, *((f"{name}, {px}×{px}", photo.resize((px, px))) for px in RESIZED_PX)]


def _differences(theirs_gave: Any, ours_gave: Any) -> tuple[str, str]:
    expected, got = (np.asarray(each["predicted_depth"]) for each in (theirs_gave, ours_gave))
    difference = np.abs(got - expected) / expected.max()
    return f"{difference.max():.1e}", f"{difference.mean():.1e}"


if __name__ == "__main__":
    typer.run(main)
