"""The processor that this process runs on. Read from Linux; what it does not tell is left out."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

ROOT = Path("/")
# What decides how fast OpenVINO and torch multiply on x86-64.
CPU_FEATURES = (
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_bf16",
    "amx_int8",
)
_FAST_INT8 = ("avx_vnni", "avx512_vnni", "amx_int8")


@dataclass(frozen=True)
class Cpu:
    model: str
    cores: int  # that this process may use
    features: tuple[str, ...]  # those of CPU_FEATURES that it has

    @property
    def fast_int8(self) -> bool:
        """Whether it multiplies 8-bit numbers faster than float32."""
        return any(name in self.features for name in _FAST_INT8)


def read_cpu(root: Path = ROOT) -> Cpu:
    """The first processor of /proc/cpuinfo."""
    fields = fields_of(root / "proc/cpuinfo")
    flags = fields.get("flags", "").split()
    return Cpu(
        fields.get("model name", platform.machine()),
        len(os.sched_getaffinity(0)),
        tuple(name for name in CPU_FEATURES if name in flags),
    )


def text_of(path: Path) -> Optional[str]:
    """The text of a small file, or None if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def fields_of(path: Path) -> dict[str, str]:
    """`name : value` lines; of a repeated name the first."""
    found: dict[str, str] = {}
    for line in (text_of(path) or "").splitlines():
        name, _, value = line.partition(":")
        found.setdefault(name.strip(), value.strip())
    return found
