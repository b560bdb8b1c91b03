"""Which model and weights a command means: a name, a repository of the hub, or a folder."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from depth.artifact.manifest import MANIFEST, read_artifact
from depth.errors import CheckpointError, DownloadError, InputError
from depth.family import model_named
from depth.files import read_regular
from depth.images.read import printable
from depth.weights.registry import CHECKPOINTS, PublishedFile, known_files, places

logger = logging.getLogger(__name__)

CONFIG, WEIGHTS = "config.json", "model.safetensors"
_MAX_CONFIG_BYTES = 1 << 20


@dataclass(frozen=True)
class Chosen:
    """A model of the family with its weights, or an artifact that was made of them."""

    name: str
    weights: Path  # or the folder of an artifact
    artifact: bool = False

    @property
    def one_view(self) -> bool:
        """Whether the model knows one image at a time, and no cameras."""
        return not model_named(self.name).takes_scenes


def chosen(text: str, accept_licence: bool) -> Chosen:
    """The model of a name (`da3-small`), a repository (`owner/name`), a folder or an artifact.

    Weights are looked for in checkpoints/, or downloaded. Raises InputError for what is none of
    them, CheckpointError or DownloadError if the weights cannot be had, LicenceError if a licence
    has to be accepted first.
    """
    folder = Path(text).expanduser()
    if folder.is_dir():
        return _of_folder(folder)
    files = [file for file in known_files() if text in (file.model, file.repository)]
    ours = [file for file in files if file.model.startswith("da3")]
    if not ours:
        names = sorted({file.model for file in known_files() if file.model.startswith("da3")})
        raise InputError(
            f"--model-dir {text!r}: no folder, no published repository and no model; choose from "
            f"{', '.join(names)}"
        )
    return Chosen(ours[0].model, _weights(ours[0], accept_licence))


def _of_folder(folder: Path) -> Chosen:
    """As upstream's `save_pretrained` writes it. The file is text: nothing in it is run."""
    if (folder / MANIFEST).is_file():
        return Chosen(read_artifact(folder).manifest.model, folder, artifact=True)
    path = folder / CONFIG
    try:
        name = json.loads(read_regular(path, _MAX_CONFIG_BYTES))["model_name"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"{printable(path)}: cannot be read as a model's description: expected JSON with "
            "model_name, as upstream's save_pretrained writes it"
        ) from error
    if not isinstance(name, str):
        raise CheckpointError(f"{printable(path)}: model_name is no text")
    return Chosen(model_named(name).name, folder / WEIGHTS)


def _weights(file: PublishedFile, accept_licence: bool) -> Path:
    from depth.weights.download import fetch

    for place in places(CHECKPOINTS):
        if (place / file.local_name).is_file():
            return place / file.local_name
    try:
        return fetch(file, CHECKPOINTS, accept_licence)
    except DownloadError as error:
        if isinstance(error, ValueError):  # the licence
            raise type(error)(
                f"{file.model}: licence {file.licence}; nothing was downloaded. Read "
                f"{file.page_url}, and give --accept-licence if you accept it"
            ) from error
        raise
