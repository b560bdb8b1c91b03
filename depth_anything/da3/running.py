"""A scene from views to files: here, or by a backend; what it says at the end."""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Optional

import typer

from depth.console import counted, say
from depth.images.read import printable
from depth.scenes.export import export_scene, formats_named
from depth.scenes.scene import Scene
from depth_anything.da3.folder import SceneFolder, default_folder
from depth_anything.da3.models import Chosen, chosen
from depth_anything.da3.options import SceneOptions
from depth_anything.da3.pipelines import in_windows, opened
from depth_anything.da3.remote import Backend
from depth_anything.da3.sources import Views, too_many

if TYPE_CHECKING:
    pass

TOKEN = "DEPTH_TOKEN"  # as services read it

ViewsOf = Callable[[SceneFolder, int], Views]  # the number: most views
MOST_FRAMES = 100_000  # of a video in windows


def make(options: SceneOptions, most: int, views_of: ViewsOf, to_given: bool = True) -> None:
    """Make the scene of some views, write its files, and print their names.

    most      views of one scene; more are refused
    views_of  finds the views, and may write images into the folder of the scene
    to_given  depth is scaled to the cameras that the views have

    Raises InputError for options that do not go together, before any other work; what makes or
    writes the scene raises the rest.
    """
    options.check()
    folder = SceneFolder(options.export_dir or default_folder(time.time()), options.overwrite)
    model = None if options.use_backend else chosen(options.model_dir, options.accept_licence)
    folder.remove_inputs()
    most = MOST_FRAMES if options.window else most
    views = views_of(folder, most)
    if len(views.paths) > most:
        raise too_many(len(views.paths), most)
    if model is None:
        _by_backend(options, views, folder, to_given)
    elif options.window:
        in_windows(options, model, views, folder, options.window)
    else:
        _here(options, model, views, folder, to_given)


def _here(
    options: SceneOptions, model: Chosen, views: Views, folder: SceneFolder, to_given: bool
) -> None:
    begun = time.monotonic()
    scene, said = _scene(options, model, views, to_given)
    folder.remove_scene()
    formats = formats_named(options.export_format)
    say(f"writing {options.export_format}")
    files = export_scene(scene, folder.path, formats, options.options())
    for path in files:
        typer.echo(path)
    if said:
        say(said)
    seconds = time.monotonic() - begun
    count = "1 view" if len(scene) == 1 else f"{len(scene)} views"
    unit = "metres" if scene.unit else "a unit of its own"
    say(f"{count} by {model.name} in {seconds:.0f} s; depth in {unit}: {printable(folder.path)}")
    say(_next(folder.path, formats))


def _scene(
    options: SceneOptions, model: Chosen, views: Views, to_given: bool
) -> tuple[Scene, Optional[str]]:
    """The scene, and what a user should know of it."""
    if model.one_view:
        from depth_anything.da3.one_image import check_one, scene_of_image

        check_one(model, len(views.paths))
        return scene_of_image(options, model, views.paths[0])
    asked = options.asked(views.names, views.cameras, to_given)
    with opened(options, model) as maker:
        return maker([str(path) for path in views.paths], asked, _steps(), None), None


def _steps() -> Callable[[str, int, int], None]:
    """Says a line for each step of a scene as it begins."""
    last = ""

    def on_step(step: str, _done: int, total: int) -> None:
        nonlocal last
        if step != last:
            say(f"{step}: {total}")
            last = step

    return on_step


def _by_backend(options: SceneOptions, views: Views, folder: SceneFolder, to_given: bool) -> None:
    backend = Backend(options.backend_url, os.environ.get(TOKEN, ""))
    body = {
        "image_paths": [str(path.resolve()) for path in views.paths],
        "export_dir": str(folder.path.resolve()),
        "export_format": options.export_format,
        "process_res": options.process_res,
        "process_res_method": options.process_res_method,
        "export_feat_layers": list(options.blocks),
        "align_to_input_ext_scale": to_given,
        "use_ray_pose": options.use_ray_pose,
        "ref_view_strategy": options.ref_view_strategy,
        "conf_thresh_percentile": options.conf_thresh_percentile,
        "num_max_points": options.num_max_points,
        "show_cameras": options.show_cameras,
        "feat_vis_fps": options.feat_vis_fps,
    }
    if views.cameras is not None:
        body["extrinsics"] = views.cameras.extrinsics.tolist()
        body["intrinsics"] = views.cameras.intrinsics.tolist()
    folder.remove_scene()
    task = backend.submit(body)
    typer.echo(task)
    if not options.wait:
        say(f"submitted; `curl {shlex.quote(f'{backend.url}/task/{task}')}` tells how far it is")
        return
    last = ""
    with counted("backend, percent", 100) as count:

        def told(message: str, progress: float) -> None:
            nonlocal last
            count(round(100 * progress))
            if message != last:
                say(message)
                last = message

        backend.follow(task, told)
    say(f"written by the backend: {printable(folder.path)}")
    say(_next(folder.path, formats_named(options.export_format)))


def _next(folder: Path, formats: tuple[str, ...]) -> str:
    """The command that a user may want next."""
    name = shlex.quote(printable(folder))
    if "colmap" in formats:
        return f"next: colmap gui --import_path {name}/sparse/0 --image_path {name}/images"
    if "glb" in formats:
        root = shlex.quote(printable(folder.resolve().parent.parent))
        return f"next: python main.py da3 gallery --gallery-dir {root}"
    return f"next: {name}/scene.json says what each file holds"
