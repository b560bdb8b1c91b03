"""Which model answers: the artifacts that were named, or those in SimplePicture3D's folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

from depth.artifact.manifest import MANIFEST, Artifact, read_artifact, read_artifacts
from depth.errors import InputError
from depth.maps.result import FULL
from depth.steps.focal import FocalAsked
from serve.engine import Engine
from serve.jobs.stage import Stage
from serve.library import Library
from serve.shapes import BUCKETS

FOLDER = Path(".simplepicture3d", "models")  # below the home folder
MODEL_VARIABLE = "DEPTH_MODEL_PATH"


@dataclass(frozen=True)
class Wanted:
    """What the command line says of the model. None leaves it to what finds the model.

    model       a path, or a name in the folder of models
    one_image   all cores of a CPU work on one image
    """

    artifacts: Sequence[Path] = ()
    identities: Sequence[str] = ()
    model: Optional[str] = None
    policy: Optional[str] = None
    focal_px: Optional[float] = None
    allow_failed_parity: bool = False
    allow_unverified: bool = False
    one_image: bool = False


@dataclass(frozen=True)
class Finders:
    """How a model is found.

    stage    over its programs
    licence  a line about its weights
    errors   whose text is for the user, besides those of depth/ and serve/
    """

    stage: Callable[[Wanted], Stage]
    licence: Callable[[Wanted], str]
    errors: tuple[type[Exception], ...] = ()


def model_folder() -> Path:
    """Where SimplePicture3D keeps models. Raises InputError without a home folder."""
    try:
        return Path.home() / FOLDER
    except (KeyError, RuntimeError) as error:
        raise InputError(f"no home folder to look for models in: {error}") from error


def stage_of_artifacts(wanted: Wanted) -> Stage:
    """A stage over the artifacts that are named, or the only model that is found.

    Raises InputError if there is none or a choice, and what reading artifacts raises.
    """
    artifacts = _artifacts_of(wanted)
    library = Library(artifacts, None, wanted.allow_failed_parity, wanted.allow_unverified)
    focal = FocalAsked(wanted.focal_px)
    engine = Engine(library, wanted.policy or BUCKETS, output_size=FULL, focal=focal)
    return Stage(engine, one_at_a_time=wanted.one_image)


def licence_of_artifacts(wanted: Wanted) -> str:
    """The model and the licence of its weights. Raises as `stage_of_artifacts`."""
    m = _artifacts_of(wanted)[0].manifest
    return f"{m.model}: {m.checkpoint.licence or 'unknown'} ({m.checkpoint.file})"


def _artifacts_of(wanted: Wanted) -> list[Artifact]:
    if wanted.artifacts:
        return read_artifacts(list(wanted.artifacts), list(wanted.identities) or None)
    found = found_artifacts(wanted.model)
    if found:
        return found
    folder = model_folder()
    places = [folder] if wanted.model is None else places_of(wanted.model, folder)
    raise InputError(
        f"no artifact in {' or '.join(map(str, dict.fromkeys(places)))}: put a compiled artifact "
        f"there, name its folder, or set {MODEL_VARIABLE}; `python -m compile build` makes them"
    )


def found_artifacts(model: Optional[str]) -> list[Artifact]:
    """The artifacts of a model: at a path, by name in the folder of models, or the only one.

    Returns [] if there is none. Raises InputError if there is a choice, and for a model without a
    home folder to look into.
    """
    folder = model_folder()
    for place in [folder] if model is None else places_of(model, folder):
        found = list(_below(place))
        if found:
            return _of_one_model(found, place)
    named = [each for each in _below(folder) if each.manifest.model == model]
    return _of_one_model(named, folder) if named else []


def places_of(model: str, folder: Path) -> list[Path]:
    """Where a model may lie: its path, and what has the last part of its name in `folder`."""
    try:
        path = Path(model).expanduser()
    except (KeyError, RuntimeError) as error:
        raise InputError(f"{model}: no home folder: {error}") from error
    return [path, *([folder / path.name] if path.name not in ("", "..") else [])]


def _below(place: Path) -> Iterator[Artifact]:
    """The artifact at a folder, or those directly in it."""
    if (place / MANIFEST).is_file():
        yield read_artifact(place)
    elif place.is_dir():
        for path in sorted(place.iterdir()):
            if (path / MANIFEST).is_file():
                yield read_artifact(path)


def _of_one_model(found: list[Artifact], place: Path) -> list[Artifact]:
    kinds = {(a.manifest.model, a.manifest.target, a.manifest.precision) for a in found}
    if len(kinds) > 1:
        names = ", ".join(each.folder.name for each in found)
        raise InputError(f"{place} has several models: {names}; name the folder of one artifact")
    return found


def asked_model(given: Optional[str]) -> Optional[str]:
    """The model of the command line, or else of the environment."""
    return given or os.environ.get(MODEL_VARIABLE) or None
