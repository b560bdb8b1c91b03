"""Reads files of weights: hashes them first, and runs nothing in them."""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from depth.errors import CheckpointError, first_line
from depth.files import sha256_file
from depth.weights.registry import by_sha256

# Errors of torch's restricted unpickler on damaged bytes, found by altering bytes of files.
_DAMAGED = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    struct.error,
)


@dataclass(frozen=True)
class Checkpoint:
    """A state dict and where it came from."""

    name: str  # file name
    sha256: str
    licence: str  # of a published file; else from the safetensors metadata, or "unknown"
    state: dict[str, Tensor]


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a .pth (ZIP format only, weights only) or .safetensors file.

    Raises CheckpointError if the file is missing, damaged, of another format, or has entries that
    are not tensors.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; `make checkpoints MODEL=...` downloads one")
    digest = sha256_file(path)
    state, licence = (
        _read_safetensors(path) if path.suffix == ".safetensors" else (_read_pth(path), "unknown")
    )
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise CheckpointError(f"{path}: entry {key!r} is not a tensor; expected a state dict")
    published = by_sha256(digest)
    return Checkpoint(path.name, digest, published.licence if published else licence, state)


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], str]:
    try:
        with safe_open(path, framework="pt") as file:  # type: ignore[no-untyped-call]
            names: list[str] = file.keys()
            return {name: file.get_tensor(name) for name in names}, _licence(file.metadata())
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a readable safetensors file: {error}") from error


def _licence(metadata: Optional[Mapping[str, str]]) -> str:
    return (metadata or {}).get("licence", "unknown")


def _read_pth(path: Path) -> dict[str, Tensor]:
    # The older tar and bare-pickle formats are refused: weights_only was bypassed through them
    # before torch 2.6 (CVE-2025-32434), and no published checkpoint uses them.
    # Programs are refused before torch sees them: torch.load would run the loader of programs.
    if any(name.endswith("/constants.pkl") for name in _zip_names(path)):
        raise CheckpointError(f"{path}: a TorchScript program, expected a state dict")
    try:
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGED as error:
        raise CheckpointError(
            f"{path}: refused or damaged, only plain tensors are read: {first_line(error)}"
        ) from error
    if isinstance(loaded, dict) and isinstance(loaded.get("model"), dict):
        loaded = loaded["model"]  # upstream's training script saves {"model": state, ...}
    if not isinstance(loaded, dict) or not loaded:
        raise CheckpointError(f"{path}: holds a {type(loaded).__name__}, expected a state dict")
    return {
        key.removeprefix("module.") if isinstance(key, str) else key: value
        for key, value in loaded.items()
    }


def _zip_names(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path}: not a PyTorch ZIP checkpoint (damaged, cut short, or of a format from before "
            "torch 1.6); download it again or save it again with a current torch"
        ) from error
