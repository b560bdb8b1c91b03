"""The backend and the gallery as commands run them: until a signal, on loopback by default."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from pathlib import Path

from depth.errors import InputError
from depth.files import make_folders
from serve.scenes.asked import MakeScene
from serve.service.app import application, gallery_application
from serve.service.asgi.logs import log_to_stderr, say_ready
from serve.service.models import Models
from serve.service.scenes.backend import Backend
from serve.service.scenes.model import SceneModel
from serve.service.server import run
from serve.service.service import Service
from serve.service.settings import Settings


def run_backend(
    load: Callable[[], MakeScene],
    name: str,
    settings: Settings,
    root: Path,
    device: str = "cpu",
    log: str = "text",
) -> None:
    """Serve scenes until SIGTERM or SIGINT; then give up the task under way. For the main thread.

    load      the model, for the first task; a `close` that its result has is called at the end
    name      of the model, for /status
    settings  with the folder of the gallery, if there is one
    root      the folder that callers may name paths in; it is made, and keeps the tasks

    Raises InputError for an address, root or setting that cannot be had.
    """
    log_to_stderr(log)
    try:
        make_folders(root)
    except OSError as error:
        raise InputError(f"{root}: cannot be made: {error.strerror}; name another") from error
    backend = Backend(root, SceneModel(load, name, device))
    service = Service(Models(), settings, backend=backend)
    run(service, [], lambda url: say_ready(url, log), application)


def run_gallery(settings: Settings, open_browser: bool = False, log: str = "text") -> None:
    """Serve the gallery of the settings until SIGTERM or SIGINT. For the main thread.

    open_browser  show it in the browser of this machine

    Raises InputError for an address or folder that cannot be had.
    """
    if settings.gallery is None or not settings.gallery.is_dir():
        raise InputError(f"{settings.gallery}: no folder; name the folder of a gallery")
    log_to_stderr(log)

    def ready(url: str) -> None:
        say_ready(url, log)
        if open_browser:
            webbrowser.open(url)

    run(Service(Models(), settings), [], ready, gallery_application)
