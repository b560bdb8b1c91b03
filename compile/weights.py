"""Which weights a command means. Imports torch only once there is something to read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Optional

from depth_anything_v2.config import Model, model_named
from depth_anything_v2.errors import CheckpointError
from depth_anything_v2.registry import PUBLISHED

if TYPE_CHECKING:
    from depth_anything_v2.checkpoint import Checkpoint

UNTRAINED = "untrained"  # the word that users type for fixed-seed weights
CHECKPOINTS = Path("checkpoints")


def find(model: Model, folder: Path = CHECKPOINTS) -> Optional[Path]:
    """A model's weights in `folder`: the published name, or <model>.safetensors or .pth."""
    names = [f"{model.name}.safetensors", f"{model.name}.pth"]
    if model.name in PUBLISHED:
        names.insert(0, PUBLISHED[model.name].filename)
    return next((folder / name for name in names if (folder / name).is_file()), None)


def read(model: Model, given: Optional[str], folder: Path = CHECKPOINTS) -> Checkpoint:
    """The weights named by the user, or else the model's own in `folder`.

    Raises CheckpointError if there are none, with what to do.
    """
    from depth_anything_v2.checkpoint import read_checkpoint
    from depth_anything_v2.untrained import untrained_checkpoint

    if given == UNTRAINED:
        return untrained_checkpoint(model)
    path = Path(given) if given else find(model, folder)
    if path is None:
        raise CheckpointError(
            f"no weights for {model.name!r} in {folder}/: `make checkpoints MODEL={model.name}` "
            "downloads the published ones, --checkpoint FILE names your own, and "
            f"--checkpoint {UNTRAINED} takes fixed-seed weights to try a target"
        )
    return read_checkpoint(path)


def read_again(model_name: str, file: str, sha256: str, folder: Path = CHECKPOINTS) -> Checkpoint:
    """The weights that an artifact was made from. Raises CheckpointError if they have changed."""
    given = file if file == UNTRAINED else str(folder / file)
    checkpoint = read(model_named(model_name), given)
    if checkpoint.sha256 != sha256:
        raise CheckpointError(
            f"{given}: sha256 {checkpoint.sha256[:12]}..., the artifact was made from "
            f"{sha256[:12]}...; name the right file with --checkpoint"
        )
    return checkpoint
