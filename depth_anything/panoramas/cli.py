"""`python main.py panorama`: equirectangular images and videos become equirectangular depth."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import typer

from depth.family import model_named
from depth_anything.model_options import (
    ARTIFACTS,
    CHECKPOINT,
    INPUT_SIZE,
    MODEL,
    NO_STAND_IN,
    PRECISION,
    TARGET,
    weights_of,
)
from serve.folder.panoramas import PanoramaOptions, takes_panorama_options

_PHOTOGRAPHS = Path("input_images")  # for the parity gate, beside its own test images


@takes_panorama_options
def panorama(
    options: PanoramaOptions,
    model: Optional[str] = MODEL,
    target: str = TARGET,
    precision: str = PRECISION,
    input_size: Optional[int] = INPUT_SIZE,
    checkpoint: Optional[Path] = CHECKPOINT,
    artifacts: Path = ARTIFACTS,
    no_stand_in: bool = NO_STAND_IN,
) -> None:
    """Make depth of 360-degree images and videos.

    Depth is along the ray of each pixel. A panorama, twice as wide as high, is cut into views that
    overlap. A network of ordinary images gives depth of each, in one program. A scale and a shift
    for each view make the views agree, and they are joined without a seam.

    For a/b.jpg: OUTPUT/a/b.png, 16 bits, b.confidence.png, which says how well views agree, and
    b.json, which says what the values mean. For a video: OUTPUT/NAME/000000.png and so on, each
    frame in the scale of the frame before.

    \b
    python main.py panorama photos -o depth
    python main.py panorama tour.mp4 -o depth --fps 2 --model da3metric-large

    Exit code 0 all done, 1 failed, 2 usage, 3 some images failed or left. Run it again for the
    rest, as inference.py.
    """
    from dataclasses import replace

    from compile.on_demand import Cache
    from compile.weights import WANTED_MODEL
    from serve.jobs.stop import Stop
    from serve.library import Library
    from serve.panoramas.asked import maps_of_panoramas
    from serve.shapes import EXACT

    options.asked()
    stop = Stop()
    model = model or (WANTED_MODEL if no_stand_in else None)
    weights = weights_of(model, checkpoint, target, precision)
    row = model_named(weights.model)
    job = options.job(
        maps=maps_of_panoramas(output.name for output in row.outputs),
        remark=weights.remark,
        stand_in=weights.stand_in,
    )
    cache = Cache(artifacts, weights, target, precision, _PHOTOGRAPHS, stop.requested)
    library = Library(cache.artifacts(), build=cache.build)
    rule = replace(row.size, side_px=input_size or row.size.side_px)
    raise typer.Exit(options.run(library, job, stop, EXACT, rule))
