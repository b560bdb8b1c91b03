"""Choices of precision `auto`, kept in a file beside the artifacts. Loads no torch.

A choice holds for a model, its weights, a target, a CPU and the code that made the artifact. It is
never made again; whoever wants another one deletes the file.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

from compile.source import source_sha256
from depth.artifact.manifest import Artifact
from depth.artifact.strict_json import decode, parse_object
from depth.cpu import read_cpu
from depth.files import locked, read_regular, write_whole

logger = logging.getLogger(__name__)

FILE = "precision-auto.json"
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Key:
    """What a choice holds for."""

    family: str
    model: str
    checkpoint_sha256: str
    target: str
    cpu: str
    features: tuple[str, ...]  # of the CPU, as in depth/cpu.py

    @classmethod
    def here(cls, family: str, model: str, checkpoint_sha256: str, target: str) -> Key:
        """On this CPU."""
        cpu = read_cpu()
        return cls(family, model, checkpoint_sha256, target, cpu.model, cpu.features)


@dataclass(frozen=True)
class Candidate:
    """One precision: what was measured, or why nothing was."""

    precision: str
    latency_ms: Optional[float]  # median
    ratio: Optional[float]  # times as fast as fp32, the median of paired rounds
    max_rel: Optional[float]  # of depth, the worst program
    mean_rel: Optional[float]
    left_out: str  # the reason, or ""

    def text(self) -> str:
        """int8-bf16: 377.1 ms, 2.39 times as fast as fp32, mean error 0.75 %, largest 4.1 %"""
        if self.left_out:
            return f"{self.precision}: left out: {self.left_out}"
        errors = f"mean error {_percent(self.mean_rel)}, largest {_percent(self.max_rel)}"
        return f"{self.precision}: {self.speed()}, {errors}"

    def speed(self) -> str:
        """377.1 ms, 2.39 times as fast as fp32; or unknown"""
        if self.latency_ms is None or self.ratio is None:
            return "unknown"
        return f"{self.latency_ms:.1f} ms, {self.ratio:.2f} times as fast as fp32"


@dataclass(frozen=True)
class Chosen:
    """A choice, and the measurements behind."""

    key: Key
    source_sha256: str  # of the chosen precision
    precision: str
    float_layers: tuple[str, ...]  # of int8
    images: int  # photographs that were measured on
    candidates: tuple[Candidate, ...]


def find(folder: Path, key: Key) -> Optional[Chosen]:
    """The kept choice; None if there is none, or if it is of other code."""
    for chosen in _read(folder / FILE):
        if chosen.key == key and chosen.source_sha256 == source_of(key, chosen.precision):
            return chosen
    return None


def find_behind(artifact: Artifact) -> Optional[Chosen]:
    """The kept choice for this CPU, if the artifact has its precision; else None."""
    m = artifact.manifest
    key = Key.here(m.family, m.model, m.checkpoint.sha256, m.target)
    chosen = find(artifact.folder.parent, key)
    return chosen if chosen and chosen.precision == m.precision else None


def keep(folder: Path, chosen: Chosen) -> None:
    """Add a choice to the file, in place of one for the same key. Raises OSError."""
    with locked(folder, always=False):
        others = [one for one in _read(folder / FILE) if one.key != chosen.key]
        data = {"format": 1, "choices": [asdict(one) for one in (*others, chosen)]}
        write_whole(folder / FILE, json.dumps(data, indent=2) + "\n")


def source_of(key: Key, precision: str) -> str:
    """Hash of the code that makes an artifact of this precision."""
    return source_sha256(key.target, precision, key.family)


@dataclass(frozen=True)
class _File:
    format: int
    choices: tuple[Chosen, ...]


def _read(path: Path) -> Sequence[Chosen]:
    try:
        found: dict[str, Any] = parse_object(read_regular(path, _MAX_BYTES))
        return decode(_File, found).choices
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        logger.warning("%s: no choices of precision auto, ignored: %s", path, error)
        return ()


def _percent(value: Optional[float]) -> str:
    return "unknown" if value is None else f"{100 * value:.2f} %"
