"""Which weights a command means. Imports torch only once there is something to read."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from depth.artifact.manifest import CheckpointFacts
from depth.errors import CheckpointError, DownloadError
from depth.family import UNTRAINED, Model, ModelConfig, model_named, models
from depth.files import sha256_file
from depth.weights.dimensions import dimensions
from depth.weights.download import fetch
from depth.weights.registry import (
    CHECKPOINTS,
    OWN_CHECKPOINTS,
    PublishedFile,
    by_sha256,
    known_files,
    places,
    published_files,
)

if TYPE_CHECKING:
    from depth.weights.checkpoint import Checkpoint

logger = logging.getLogger(__name__)

WANTED_MODEL = "vits"  # what runs if no model is named
DEFAULT_MODEL = "demo"  # what runs then if its weights cannot be had
BUNDLED = OWN_CHECKPOINTS / "demo" / "demo.safetensors"


@dataclass(frozen=True)
class Weights:
    """The weights a job runs with, before anything is read."""

    model: str
    file: Path
    remark: str = ""  # one plain line if they are not what was asked for

    @property
    def stand_in(self) -> str:
        """The model, if it is not the one that was asked for; else ""."""
        return self.model if self.remark else ""

    def made(self, facts: CheckpointFacts) -> bool:
        """Whether an artifact with these facts was made from these weights."""
        return facts.sha256 == _sha256(self.file)


def choose(
    named: Optional[Model], given: Optional[Path] = None, folder: Path = CHECKPOINTS
) -> Weights:
    """The given file, or the model's own in the places of `folder`, or downloaded into `folder`.

    With no model named the bundled default takes the place of what cannot be had. The remark goes
    into results, so it is the same for every reason; the log has the reason. Raises
    CheckpointError if a given file is not there, the file is another model's, or a named model's
    weights cannot be had.
    """
    model = named or model_named(WANTED_MODEL)
    if given is not None and not given.is_file():
        raise CheckpointError(f"{given}: no such file")
    found = given or find(model, folder)
    if found is not None:
        check_fits(model, found)
        _say_if_not_published(found)
        return Weights(model.name, found)
    try:
        return Weights(model.name, fetch(published_files()[model.name], folder))
    except KeyError:
        why = "no checkpoint of it is published"
    except DownloadError as error:
        why = str(error)
    if named:
        raise CheckpointError(f"no weights for {model.name}: {why}")
    logger.warning("%s", why)
    return Weights(
        DEFAULT_MODEL,
        BUNDLED,
        f"no weights for {model.name}: the bundled {DEFAULT_MODEL} model runs instead. It is made "
        "for tests, not for photographs",
    )


def _say_if_not_published(path: Path) -> None:
    """Log it if a file has a published name and other bytes."""
    rows = [row for row in known_files() if row.local_name == path.name and row.sha256]
    sizes_bytes = {row.size_bytes for row in rows}
    if rows and not (
        sizes_bytes & {None, path.stat().st_size} and _sha256(path) in {row.sha256 for row in rows}
    ):
        logger.warning("%s: not the published file of this name", path)


def _sha256(path: Path) -> str:
    """Hex SHA-256 of a file. A process hashes it once, as long as it is not changed."""
    found = path.stat()
    return _sha256_of(path, found.st_size, found.st_mtime_ns, found.st_ino)


@lru_cache
def _sha256_of(path: Path, *_state: int) -> str:
    return sha256_file(path)


def check_fits(model: Model, path: Path) -> None:
    """Raises CheckpointError if the file has the dimensions of another model. Needs no torch.

    What a file does not say is found out when it is read.
    """
    found, wanted = dimensions(path), _dimensions(model)
    if found is None or wanted is None or found == wanted:
        return
    _check_published(model, path, _sha256(path))
    rows = sorted(models().values(), key=lambda row: row.family != model.family)
    fitting = [row.name for row in rows if _dimensions(row) == found]
    others = f", or {', '.join(fitting[1:])}" if fitting[1:] else ""
    advice = f"; give --model {fitting[0]}{others}" if fitting else ""
    (width, blocks), (own_width, own_blocks) = found, wanted
    raise CheckpointError(
        f"{path}: weights of {blocks} blocks of width {width}, {model.name} has {own_blocks} of "
        f"{own_width}{advice}"
    )


def _check_published(model: Model, path: Path, sha256: str) -> Optional[PublishedFile]:
    """The published file with these bytes. Raises CheckpointError if it is another model's."""
    published = by_sha256(sha256)
    if published and published.model != model.name:
        advice = f"; give --model {published.model}" if published.model in models() else ""
        raise CheckpointError(
            f"{path}: is published as {published.model}, not as {model.name}{advice}"
        )
    return published


def _dimensions(model: Model) -> Optional[tuple[int, int]]:
    config = model.config
    return (config.embed_dim, config.depth) if isinstance(config, ModelConfig) else None


def find(model: Model, folder: Path = CHECKPOINTS) -> Optional[Path]:
    """A model's weights: the published name, or <model>.safetensors or .pth.

    folder  searched first; the default is the working directory's, and then the project's own

    The default model is bundled, so it is always found.
    """
    names = [f"{model.name}.safetensors", f"{model.name}.pth"]
    published = published_files().get(model.name)
    if published is not None:
        names.insert(0, published.local_name)
    candidates = [place / name for place in places(folder) for name in names]
    if model.name == DEFAULT_MODEL:
        candidates.append(BUNDLED)
    return next((path for path in candidates if path.is_file()), None)


def read(model: Model, given: Optional[str], folder: Path = CHECKPOINTS) -> Checkpoint:
    """The weights named by the user, or else the model's own in `folder`.

    A file that nobody published is used as the named model, and the log says which others it fits.
    Raises CheckpointError if there are no weights, with what to do, or if they are published as
    another model's: those of vits fit vits-metric-indoor, and would pass for metres.
    """
    from compile.untrained import untrained_checkpoint
    from depth.weights.checkpoint import read_checkpoint

    if given == UNTRAINED:
        return untrained_checkpoint(model)
    path = Path(given) if given else find(model, folder)
    if path is None:
        raise CheckpointError(
            f"no weights for {model.name!r} in {_in_words(folder)}: "
            f"`make checkpoints MODEL={model.name}` downloads the published ones, "
            "--checkpoint FILE names your own, and "
            f"--checkpoint {UNTRAINED} takes fixed-seed weights to try a target"
        )
    check_fits(model, path)
    checkpoint = read_checkpoint(path)
    if _check_published(model, path, checkpoint.sha256) is None:
        _say_what_else_fits(model, path)
    return checkpoint


def _in_words(folder: Path) -> str:
    return " or ".join(dict.fromkeys(str(place.absolute()) for place in places(folder)))


def _say_what_else_fits(model: Model, path: Path) -> None:
    others = [
        row.name
        for row in models().values()
        if row.family == model.family and row.weights_like == model.weights_like and row != model
    ]
    if model.weights_like and others:
        logger.warning(
            "%s is no published file; it is used as %s, and would fit %s as well",
            path,
            model.name,
            ", ".join(others),
        )


def read_again(model_name: str, file: str, sha256: str, folder: Path = CHECKPOINTS) -> Checkpoint:
    """The weights that an artifact was made from. Raises CheckpointError if they have changed."""
    given = file
    if file != UNTRAINED:
        candidates = [place / file for place in places(folder)]
        if file == BUNDLED.name:
            candidates.append(BUNDLED)
        given = str(next((path for path in candidates if path.is_file()), candidates[0]))
    checkpoint = read(model_named(model_name), given)
    if checkpoint.sha256 != sha256:
        raise CheckpointError(
            f"{given}: sha256 {checkpoint.sha256[:12]}..., the artifact was made from "
            f"{sha256[:12]}...; name the right file with --checkpoint"
        )
    return checkpoint
