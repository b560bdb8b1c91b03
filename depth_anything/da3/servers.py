"""`da3 backend`, `gallery` and `gradio`: what answers on a port until Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import typer

from depth.command import path_option
from depth.console import one_line, say
from depth.errors import InputError
from depth_anything.da3.options import (
    ACCEPT,
    ARTIFACTS,
    DEVICE,
    EAGER,
    MODEL_DIR,
    OPENVINO,
    PRECISION,
    TARGET,
    check_device,
)

if TYPE_CHECKING:
    from depth_anything.da3.models import Chosen
    from serve.scenes.asked import MakeScene
    from serve.service.settings import Settings

_HOST = typer.Option("127.0.0.1", help="Address to answer on. By default only this machine.")
_PORT = "Port to answer on; 0 takes a free port."
_GALLERY = path_option(
    Path("workspace/gallery"),
    "Folder of the gallery: GROUP/SCENE/scene.glb. Left out if it is not there.",
    envvar="DA3_GALLERY_DIR",
)
_TOKEN = path_option(None, "File with the token that requests must carry; or set DEPTH_TOKEN.")
_NO_TOKEN = typer.Option(
    False, "--no-token", help="Answer a network without a token. Loopback needs none."
)


def backend(
    model_dir: str = MODEL_DIR,
    target: Optional[str] = TARGET,
    precision: str = PRECISION,
    artifacts: Path = ARTIFACTS,
    device: str = DEVICE,
    accept_licence: bool = ACCEPT,
    host: str = _HOST,
    port: int = typer.Option(8008, min=0, max=65535, help=_PORT),
    gallery_dir: Path = _GALLERY,
    root: Path = path_option(
        Path(), "Folder that requests may name images and results in, and no other place."
    ),
    token_file: Optional[Path] = _TOKEN,
    no_token: bool = _NO_TOKEN,
) -> None:
    """Make scenes for requests, with upstream's routes.

    `da3 ... --use-backend` submits to it, and so does upstream's own client. The model is loaded
    for the first scene and stays. Tasks are kept in .tasks below the root, and outlive a restart.

    \b
    python main.py da3 backend --root ~/photos
    python main.py da3 images ~/photos/room --export-dir ~/photos/out --use-backend
    """
    from serve.service.scenes.run import run_backend

    model = _model(model_dir, device, accept_licence)
    settings = _settings(host, port, gallery_dir, token_file, no_token)
    load = _loader(model, target, precision, artifacts)
    run_backend(load, model_dir, settings, root)


def gallery(
    gallery_dir: Path = _GALLERY,
    host: str = _HOST,
    port: int = typer.Option(8007, min=0, max=65535, help=_PORT),
    open_browser: bool = typer.Option(
        False, "--open-browser/--no-open-browser", help="Open it in the browser of this machine."
    ),
    token_file: Optional[Path] = _TOKEN,
    no_token: bool = _NO_TOKEN,
) -> None:
    """Show the scenes of a folder in a browser: GROUP/SCENE/scene.glb and scene.jpg.

    A command that exports glb into GALLERY/GROUP/SCENE adds a scene.
    """
    from serve.service.scenes.run import run_gallery

    if not gallery_dir.is_dir():
        raise InputError(f"--gallery-dir {one_line(str(gallery_dir))}: no such folder")
    run_gallery(_settings(host, port, gallery_dir, token_file, no_token), open_browser)


def gradio(
    model_dir: str = MODEL_DIR,
    target: Optional[str] = TARGET,
    precision: str = PRECISION,
    artifacts: Path = ARTIFACTS,
    device: str = DEVICE,
    accept_licence: bool = ACCEPT,
    workspace_dir: Path = path_option(
        Path("workspace/gradio"), "Folder for images and scenes.", envvar="DA3_WORKSPACE_DIR"
    ),
    gallery_dir: Path = _GALLERY,
    host: str = _HOST,
    port: int = typer.Option(7860, min=0, max=65535, help=_PORT),
    share: bool = typer.Option(False, "--share/--no-share", help="Refused: no public link."),
    debug: bool = typer.Option(False, "--debug/--no-debug", help="Log more."),
    cache_examples: bool = typer.Option(
        False, "--cache-examples/--no-cache-examples", help="Refused: nothing is cached ahead."
    ),
    cache_gs_tag: str = typer.Option("", help="Refused, as --cache-examples."),
    token_file: Optional[Path] = _TOKEN,
    no_token: bool = _NO_TOKEN,
) -> None:
    """Show our own page for scenes, at the port of upstream's Gradio app. Gradio is not needed."""
    import logging

    if share:
        raise InputError(
            "--share: a public link would send your images through others' machines; use --host "
            "with --token-file, or a tunnel of your own"
        )
    if cache_examples or cache_gs_tag:
        raise InputError(
            "--cache-examples and --cache-gs-tag: the page has no example scenes to make ahead; "
            "leave them out"
        )
    if debug:
        logging.getLogger().setLevel(logging.DEBUG)
    from serve.service.scenes.run import run_backend

    model = _model(model_dir, device, accept_licence)
    settings = _settings(host, port, gallery_dir, token_file, no_token)
    load = _loader(model, target, precision, artifacts)
    run_backend(load, model_dir, settings, workspace_dir)


def _settings(
    host: str, port: int, gallery_dir: Path, token_file: Optional[Path], no_token: bool
) -> Settings:
    import os

    from serve.service.settings import Settings
    from serve.service.token import token_of

    there = gallery_dir.is_dir()
    if not there:
        say(f"no gallery: {one_line(str(gallery_dir))} is not there")
    return Settings(
        host,
        port,
        token=token_of(token_file, os.environ),
        no_token=no_token,
        gallery=gallery_dir if there else None,
    )


def _model(model_dir: str, device: str, accept_licence: bool) -> Chosen:
    """Raises InputError for a model of one image, and as `chosen`."""
    from depth_anything.da3.models import chosen

    check_device(device)
    model = chosen(model_dir, accept_licence)
    if model.one_view:
        raise InputError(f"--model-dir {model_dir}: knows one image at a time, and no scenes")
    return model


def _loader(
    model: Chosen, target: Optional[str], precision: str, artifacts: Path
) -> Callable[[], MakeScene]:
    """What loads the model for the first scene."""

    def load() -> MakeScene:
        from depth_anything.da3.eager import EagerScenes
        from depth_anything.da3.pipelines import pipeline

        if target == EAGER:
            return EagerScenes(model)
        return pipeline(model, target or OPENVINO, precision, artifacts)

    return load


COMMANDS: tuple[Callable[..., None], ...] = (backend, gallery, gradio)
