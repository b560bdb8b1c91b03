"""What makes scenes of a model of several views: programs, or the eager network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from depth.console import counted, say
from depth.errors import InputError
from depth.images.read import printable
from depth.scenes.export import export_scene, formats_named
from depth_anything.da3.folder import WINDOWS, SceneFolder
from depth_anything.da3.models import Chosen
from depth_anything.da3.options import EAGER, SceneOptions
from depth_anything.da3.sources import Views

if TYPE_CHECKING:
    from depth_anything.scene_pipeline import ScenePipeline
    from serve.scenes.asked import MakeScene

_CACHE_BYTES = 128 << 20  # a frame serves two windows: more than those of two are kept for nothing


@contextmanager
def opened(options: SceneOptions, model: Chosen) -> Iterator[MakeScene]:
    """What makes scenes of a model of several views: programs, or the eager network."""
    if options.focal_px is not None or options.fov_deg is not None:
        raise InputError(f"--focal-px and --fov-deg: {model.name} finds the lens itself; leave out")
    target = options.runs_on
    if target == EAGER:
        from depth_anything.da3.eager import EagerScenes

        say(f"reading the weights of {model.name}")
        yield EagerScenes(model)
        return
    with pipeline(model, target, options.precision, options.artifacts) as found:
        yield found


def pipeline(
    model: Chosen, target: str, precision: str, artifacts: Path, **options: Any
) -> ScenePipeline:
    """Programs of a model of several views, compiled when first needed, or of an artifact.

    artifacts  the folder that keeps them
    options    further options of `ScenePipeline`
    """
    from depth_anything.scene_pipeline import ScenePipeline

    if model.artifact:
        return ScenePipeline(str(model.weights.resolve()), **options)
    return ScenePipeline(
        model.name,
        checkpoint=model.weights,
        target=target,
        precision=precision,
        folder=artifacts,
        **options,
    )


def in_windows(
    options: SceneOptions, model: Chosen, views: Views, folder: SceneFolder, window: int
) -> None:
    """Export the views window by window, each into a folder of its own, all in one space.

    Memory holds one window. Raises InputError for cameras that are given, and the eager network.
    """
    if views.cameras is not None or model.one_view:
        raise InputError("--window: needs a model of several views, and finds the cameras itself")
    target = options.runs_on
    if target == EAGER:
        raise InputError(f"--window: the target {EAGER} has no windows; take --target openvino")
    overlap = window // 2 if options.overlap is None else options.overlap
    asked, formats = options.asked((), None, True), formats_named(options.export_format)
    paths, number = [str(path) for path in views.paths], 0
    made = pipeline(model, target, options.precision, options.artifacts, cache_bytes=_CACHE_BYTES)
    with made as found, counted("frames", len(paths)) as count:

        def on_step(_step: str, done: int, _total: int) -> None:
            count(done)

        for number, scene in enumerate(found.sequence(paths, asked, window, overlap, on_step), 1):
            if number == 1:
                folder.remove_scene()
            place = folder.path / WINDOWS / f"{number - 1:04d}"
            numbers = [int(name.partition("_")[0]) for name in scene.names]  # of all frames
            scene = replace(scene, names=tuple(views.names[each] for each in numbers))
            for path in export_scene(scene, place, formats, options.options()):
                typer.echo(path)
    say(f"{len(paths)} views in {number} windows, all in one space: {printable(folder.path)}")
