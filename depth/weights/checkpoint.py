"""Reads files of weights: hashes them first, and runs nothing in them."""

from __future__ import annotations

import logging
import pickle
import re
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
from depth.weights.wrappings import unwrapped

logger = logging.getLogger(__name__)

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
_HEAD_BYTES = 512
_ZIP_MARK = b"PK\x03\x04"
_MAX_GROWTH = 2  # torch.save compresses nothing, and weights hardly compress
# What torch 1.13 and torch 2 call a class or function that is no part of plain tensors.
_FOREIGN = re.compile(r"Unsupported (?:global: GLOBAL|class) ([\w.]+)")
_BEFORE_CAUSE = "WeightsUnpickler error: "
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m|[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Checkpoint:
    """A state dict and where it came from."""

    name: str  # file name
    sha256: str
    licence: str  # of a published file; else from the safetensors metadata, or "unknown"
    state: dict[str, Tensor]


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a PyTorch file (ZIP format only, weights only) or a safetensors file, by its bytes.

    Known entries around the state dict are taken off, and the log says so. Raises CheckpointError
    if the file is missing, damaged, of another format, or has entries that are not tensors.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; `make checkpoints MODEL=...` downloads one")
    digest = sha256_file(path)
    if _is_safetensors(path):
        loaded, licence = _read_safetensors(path)
    else:
        loaded, licence = _read_pth(path), "unknown"
    state, where = unwrapped(loaded)
    if where:
        logger.warning("%s: the weights are its entry %s", path, where)
    if not isinstance(state, dict) or not state:
        raise CheckpointError(f"{path}: holds a {type(state).__name__}, expected a state dict")
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise CheckpointError(
                f"{path}: entry {key!r} is not a tensor; expected a state dict{_advice(state)}"
            )
    published = by_sha256(digest)
    return Checkpoint(path.name, digest, published.licence if published else licence, state)


def _advice(loaded: Mapping[Any, Any]) -> str:
    """Which entries could be one."""
    inner = [key for key, value in loaded.items() if _has_tensors(value)]
    if not inner:
        return ""
    return f". Save one entry on its own, {' or '.join(map(repr, inner))}: torch.save(it, ...)"


def _has_tensors(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(part, Tensor) for part in value.values())


def _is_safetensors(path: Path) -> bool:
    """By the first bytes, and by the name if they tell nothing.

    Raises CheckpointError for bytes of what is often found in place of weights.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(b"version https://git-lfs.github.com/"):
        raise CheckpointError(
            f"{path}: a Git LFS pointer, not the file: run `git lfs pull` in its repository"
        )
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html")):
        raise CheckpointError(
            f"{path}: an HTML page, not weights: download the file itself, not the page about it"
        )
    if head.startswith(_ZIP_MARK):
        return False
    return head[8:9] == b"{" or path.suffix.lower() == ".safetensors"


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], str]:
    try:
        with safe_open(path, framework="pt") as file:  # type: ignore[no-untyped-call]
            names: list[str] = file.keys()
            return {name: file.get_tensor(name) for name in names}, _licence(file.metadata())
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a readable safetensors file: {error}") from error


def _licence(metadata: Optional[Mapping[str, str]]) -> str:
    return (metadata or {}).get("licence", "unknown")


def _read_pth(path: Path) -> Any:
    # The older tar and bare-pickle formats are refused: weights_only was bypassed through them
    # before torch 2.6 (CVE-2025-32434), and no published checkpoint uses them.
    # Programs are refused before torch sees them: torch.load would run the loader of programs.
    parts = _zip_parts(path)
    if any(part.filename.endswith("/constants.pkl") for part in parts):
        raise CheckpointError(f"{path}: a TorchScript program, expected a state dict")
    declared_bytes, bytes_ = sum(part.file_size for part in parts), path.stat().st_size
    if declared_bytes > _MAX_GROWTH * bytes_:
        raise CheckpointError(
            f"{path}: refused: {bytes_:,} bytes that would become {declared_bytes:,}; torch.save "
            "does not compress"
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGED as error:
        raise CheckpointError(f"{path}: {_reason(path, error)}") from error


def _reason(path: Path, error: Exception) -> str:
    foreign = _FOREIGN.search(str(error))
    if foreign is None:
        _, _, cause = str(error).rpartition(_BEFORE_CAUSE)
        why = _ESCAPES.sub("", first_line(cause))
        return f"refused or damaged, only plain tensors are read: {why}"
    return (
        f"refused or damaged, only plain tensors are read, and it has {foreign[1]}. "
        "If you trust the file, this line, which runs code in it, makes a plain file of its "
        "weights: "
        f'torch.save(torch.load({path.name!r}, "cpu", weights_only=False)["model"], "plain.pth"), '
        'with the name of the entry in place of "model"'
    )


def _zip_parts(path: Path) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path}: not a PyTorch ZIP checkpoint (damaged, cut short, or of a format from before "
            "torch 1.6); download it again or save it again with a current torch"
        ) from error
