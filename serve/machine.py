"""The host: processor, memory, versions. Read from Linux; what it does not tell is left out."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Optional

ROOT = Path("/")
# What decides how fast OpenVINO and torch multiply on x86-64.
CPU_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
_CGROUP_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")  # version 2, version 1


@dataclass(frozen=True)
class Cpu:
    model: str
    cores: int  # that this process may use
    features: tuple[str, ...]  # those of CPU_FEATURES that it has


@dataclass(frozen=True)
class Memory:
    total_bytes: int  # of the machine, or of the container if that is less
    available_bytes: int


def read_cpu(root: Path = ROOT) -> Cpu:
    """The first processor of /proc/cpuinfo."""
    fields = _fields(root / "proc/cpuinfo")
    flags = fields.get("flags", "").split()
    return Cpu(
        fields.get("model name", platform.machine()),
        len(os.sched_getaffinity(0)),
        tuple(name for name in CPU_FEATURES if name in flags),
    )


def read_memory(root: Path = ROOT) -> Memory:
    """/proc/meminfo, and the limit of the control group, which a container has."""
    fields = _fields(root / "proc/meminfo")
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


def text_of(path: Path) -> Optional[str]:
    """The text of a small file, or None if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _fields(path: Path) -> dict[str, str]:
    """`name : value` lines; of a repeated name the first."""
    found: dict[str, str] = {}
    for line in (text_of(path) or "").splitlines():
        name, _, value = line.partition(":")
        found.setdefault(name.strip(), value.strip())
    return found


def _kilobytes(text: Optional[str]) -> int:
    return int((text or "0").split()[0]) * 1024
