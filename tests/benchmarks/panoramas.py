"""How right panoramas are: views with errors of their own, and the bundled model.

    python -m tests.benchmarks.panoramas [--picture FILE.jpg]

The first table joins true views of a room, each with a scale and a shift of its own and 1 % noise.
The second runs `demo` on panoramas of its own renderer. Errors are relative errors of the distance,
evenly over the sphere, after one scale and one shift to the truth in inverse distance for the whole
panorama; of the sky there are none. The seam is the step from the last column to the first over the
mean step between columns.
"""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import cv2
import numpy as np
import numpy.typing as npt
import typer

from compile.on_demand import Cache
from compile.weights import choose
from depth.console import markdown
from depth.family import CONFIDENCE, DEPTH, RELATIVE_INVERSE, model_named
from depth.images.given import BGR, hold
from depth.images.read import SourceImage
from depth.maps.preview import colours_of, upstream_levels
from depth.maps.result import FloatArray, Map, Result
from depth.panoramas.geometry import even_directions
from depth.panoramas.joining import joined
from depth.panoramas.layouts import LAYOUTS, layout_named
from depth.panoramas.sampling import Sphere
from serve.engine import Engine
from serve.library import Library
from serve.panoramas.asked import PanoramaAsked
from serve.panoramas.engine import PanoramaEngine
from tests.support import room
from tests.support.demo_panoramas import Panorama, render_panorama

KINDS = ("room", "hall", "table", "stairs", "street", "park")
SIZE, SIDE, SEEDS = (256, 512), 192, 4
FARTHEST_M = 80.0
RAYS = even_directions(16_384)[np.newaxis]
Errors = npt.NDArray[np.float64]


def main(
    picture: Optional[Path] = typer.Option(None, help="Write the picture of the page."),
) -> None:
    """Print the tables, and write the picture."""
    typer.echo("\n".join(_rooms()))
    typer.echo("")
    pictures = [render_panorama(seed, kind, SIZE) for kind in KINDS for seed in range(2)]
    typer.echo("\n".join(_demo(pictures)))
    if picture is not None:
        picture.write_bytes(_page(render_panorama(0, "street", SIZE)))


def errors_of(values: FloatArray, truth: FloatArray) -> Errors:
    """[N]: of inverse distances [H,W], after one scale and one shift to the truth."""
    found, true = (Sphere(each).along(RAYS).ravel().astype(np.float64) for each in (values, truth))
    seen = true > 1 / FARTHEST_M
    found, true = found[seen], true[seen]
    columns = np.stack([found / true, 1 / true], 1)
    best = np.linalg.lstsq(columns, np.ones(len(true)), rcond=None)[0]
    moved = np.maximum(best[0] * found + best[1], 1 / FARTHEST_M)
    return np.abs(true / moved - 1)


def seam_of(values: FloatArray) -> float:
    steps = np.abs(np.diff(values, axis=1)).mean()
    return float(np.abs(values[:, 0] - values[:, -1]).mean() / steps)


def _rooms() -> list[str]:
    truth = (1 / room.panorama(SIZE).distance).astype(np.float32)
    rows = []
    for name in LAYOUTS:
        layout = layout_named(name)
        for method in ("affine", "scale", "none"):
            found, seams = [], []
            for seed in range(SEEDS):
                rng = np.random.default_rng(seed)
                views = (room.distorted(view, SIDE, rng, 0.01) for view in layout.views)
                maps = [{DEPTH: Map(each, RELATIVE_INVERSE)} for each in views]
                values = joined(layout, maps, SIZE, method).maps[DEPTH].values
                found.append(errors_of(values, truth))
                seams.append(seam_of(values))
            rows.append(_row((name, method), found, seams))
    return markdown(("views", "alignment", "median error", "95 %", "seam"), rows, (2, 3, 4))


def _row(names: tuple[str, ...], found: list[Errors], seams: list[float]) -> tuple[str, ...]:
    middle = float(np.mean([np.median(each) for each in found]))
    most = float(np.mean([np.quantile(each, 0.95) for each in found]))
    return (*names, f"{middle:.1%}", f"{most:.1%}", f"{np.mean(seams):.2f}")


def _demo(pictures: list[Panorama]) -> list[str]:
    asked = [(name, method) for name in LAYOUTS for method in ("affine", "none")]
    rows = [_demo_row(("the whole at once", ""), _engine(None), pictures)]
    for name, method in asked:
        engine = _engine(PanoramaAsked(name, align=method))
        rows.append(_demo_row((name, method), engine, pictures))
    heading = ("views", "alignment", "median error", "95 %", "seam", "disagreement")
    return markdown(heading, rows, (2, 3, 4, 5))


def _demo_row(names: tuple[str, ...], engine: Engine, pictures: list[Panorama]) -> tuple[str, ...]:
    with engine:
        results = [engine.result(_source(each)) for each in pictures]
    values = [each.depth.values for each in results]
    found = [errors_of(value, each.inverse) for value, each in zip(values, pictures)]
    said = [each.projection.disagreement for each in results if each.projection]
    row = _row(names, found, [seam_of(value) for value in values])
    return (*row, f"{np.mean(said):.1%}" if said else "")


def _engine(asked: Optional[PanoramaAsked]) -> Engine:
    cache = Cache(
        Path("artifacts"),
        choose(model_named("demo"), None),
        "openvino",
        "fp32",
        Path("input_images"),
    )
    library, rule = Library(cache.artifacts(), build=cache.build), model_named("demo").size
    if asked is None:
        return Engine(library, size_rule=rule)
    return PanoramaEngine(library, size_rule=rule, asked=asked)


def _source(picture: Panorama) -> SourceImage:
    found = hold(picture.pixels, BGR).open()
    assert isinstance(found, SourceImage)
    return found


def _page(picture: Panorama) -> bytes:
    """The panorama and its depth; below, depth of views that are not aligned, and confidence."""
    results: list[Result] = []
    for method in ("affine", "none"):
        with _engine(PanoramaAsked(align=method)) as engine:
            results.append(engine.result(_source(picture)))
    aligned, apart = (
        colours_of(upstream_levels(each.depth.values), RELATIVE_INVERSE) for each in results
    )
    sure = results[0].maps[CONFIDENCE].values
    gray = cv2.cvtColor((sure * 255).astype(np.uint8), cv2.COLOR_GRAY2BGR)
    gap = np.full((SIZE[0], 6, 3), 255, np.uint8)
    rows = [np.hstack([a, gap, b]) for a, b in ((picture.pixels, aligned), (apart, gray))]
    between = np.full((6, rows[0].shape[1], 3), 255, np.uint8)
    whole = np.vstack([rows[0], between, rows[1]])
    small = cv2.resize(whole, None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()


if __name__ == "__main__":
    typer.run(main)
