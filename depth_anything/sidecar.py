"""`python main.py serve sidecar`: as serve's, of a model's name or a weights file too.

Programs are built when first needed, and kept in ~/.simplepicture3d/artifacts.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Optional

from compile.errors import CompileError
from depth.command import command_line, guarded
from depth.errors import InputError
from depth.family import ModelConfig, image_models, model_named
from depth.files import sha256_file
from depth.weights.dimensions import dimensions
from depth.weights.registry import by_sha256, published_files
from serve.errors import ServeError
from serve.sidecar.cli import sidecar_command

if TYPE_CHECKING:
    from serve.jobs.stage import Stage
    from serve.sidecar.models import Finders, Wanted

DEFAULT = "vits"  # where neither the caller nor the folder of models says which
_HUB_SUFFIX = "-hf"  # of the repositories in transformers' layout
_WEIGHTS = (".safetensors", ".pth")
_IN_FOLDER = "model.safetensors"  # the weights in a folder of the hub


class _Chosen(NamedTuple):
    """A model, and its weights file if that is known without a download."""

    name: str
    weights: Optional[Path]


def find_stage(wanted: Wanted) -> Stage:
    """A stage over artifacts as serve finds them, or over programs of a named model or of weights.

    A model that cannot be had is an error: the bundled demo never takes its place. Raises
    InputError, CheckpointError, and what reading artifacts raises.
    """
    from serve.sidecar.models import found_artifacts, model_folder, stage_of_artifacts

    if wanted.artifacts or found_artifacts(wanted.model):
        return stage_of_artifacts(wanted)
    from compile.weights import choose
    from depth_anything.model_pipeline import DepthPipeline

    name, weights = _chosen(wanted.model)
    if weights is None:
        weights = choose(model_named(name), None, model_folder()).file  # downloads
    pipeline = DepthPipeline(
        name,
        checkpoint=weights,
        policy=wanted.policy or "exact",
        folder=model_folder().parent / "artifacts",
        focal_px=wanted.focal_px,
        one_at_a_time=wanted.one_image,
    )
    return pipeline.stage


def find_licence(wanted: Wanted) -> str:
    """The model and the licence of its weights. Raises as `find_stage`; downloads nothing."""
    from serve.sidecar.models import found_artifacts, licence_of_artifacts

    if wanted.artifacts or found_artifacts(wanted.model):
        return licence_of_artifacts(wanted)
    name, weights = _chosen(wanted.model)
    row = published_files().get(name) if weights is None else by_sha256(sha256_file(weights))
    file = weights.name if weights else f"{row.local_name}, not there yet" if row else "no file"
    return f"{name}: {row.licence if row else 'unknown'} ({file})"


def _chosen(model: Optional[str]) -> _Chosen:
    """The model that is meant. Raises InputError for a name that means none."""
    from compile.weights import find

    weights = _weights(model or _hub_name(DEFAULT) + _HUB_SUFFIX)
    if weights is not None:
        return _Chosen(_name_of(model, weights) if model else DEFAULT, weights)
    name = DEFAULT if model is None else _name_by(model)
    if name is None:
        raise InputError(
            f"{model}: no artifact, no weights and no model; expected a path, a name in "
            f"~/.simplepicture3d/models, or one of {', '.join(image_models())}"
        )
    return _Chosen(name, find(model_named(name)))


def _weights(model: str) -> Optional[Path]:
    """The weights file at a path, or in SimplePicture3D's folder; None if there is none."""
    from serve.sidecar.models import model_folder, places_of

    for place in places_of(model, model_folder()):
        if place.suffix in _WEIGHTS and place.is_file():
            return place
        if (place / _IN_FOLDER).is_file():
            return place / _IN_FOLDER
    return None


def _name_of(model: str, weights: Path) -> str:
    """The model of a weights file: by its name or its bytes, or the only model of its dimensions.

    Raises InputError if that leaves a choice.
    """
    published = by_sha256(sha256_file(weights))
    name = _name_by(model) or (published and published.model)
    if name:
        return name
    found = dimensions(weights)
    fitting = [
        row.name
        for row in image_models().values()
        if isinstance(row.config, ModelConfig) and (row.config.embed_dim, row.config.depth) == found
    ]
    if len(fitting) != 1:
        raise InputError(
            f"{weights}: weights of {' or '.join(fitting) or 'no model known here'}; call the file "
            f"or its folder by the model's name: one of {', '.join(image_models())}"
        )
    return fitting[0]


def _name_by(model: str) -> Optional[str]:
    """The model by its name here, the name of its published file, or its repository on the hub."""
    last = Path(model).name
    stem = Path(last).stem if Path(last).suffix in _WEIGHTS else last
    if stem in image_models():
        return stem
    for name, file in published_files().items():
        repository = file.repository.partition("/")[2].lower()
        if last == file.local_name or last.lower() in (repository, repository + _HUB_SUFFIX):
            return name
    return None


def _hub_name(model: str) -> str:
    return published_files()[model].repository


def _finders() -> Finders:
    from serve.sidecar.models import Finders

    return Finders(find_stage, find_licence, (CompileError,))


sidecar = sidecar_command(_finders)


def main(name: str = "depth serve sidecar") -> None:
    """The command alone, for a program that starts a module of its own."""
    app = command_line()
    app.command()(sidecar)
    guarded(app, name, CompileError, ServeError)
