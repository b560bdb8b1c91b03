"""The host: memory and versions. Read from Linux; what it does not tell is left out."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Optional

from depth.cpu import ROOT, fields_of, text_of

_CGROUP_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")  # version 2, version 1


@dataclass(frozen=True)
class Memory:
    total_bytes: int  # of the machine, or of the container if that is less
    available_bytes: int


def read_memory(root: Path = ROOT) -> Memory:
    """/proc/meminfo, and the limit of the control group, which a container has."""
    fields = fields_of(root / "proc/meminfo")
    total, available = (_kilobytes(fields.get(name)) for name in ("MemTotal", "MemAvailable"))
    for name in _CGROUP_LIMITS:
        limit = text_of(root / "sys/fs/cgroup" / name)
        if limit is not None and limit.isdecimal():
            total = min(total, int(limit))
    return Memory(total, min(total, available))


def installed() -> dict[str, str]:
    """Version of every package of this environment, by its name in lower case with hyphens."""
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name:  # a half removed package has none
            found.setdefault(name.lower().replace("_", "-"), distribution.version)
    return dict(sorted(found.items()))


def _kilobytes(text: Optional[str]) -> int:
    return int((text or "0").split()[0]) * 1024
