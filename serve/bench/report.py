"""What a benchmark found: every sample, and what it was measured on."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from depth.cpu import Cpu, read_cpu
from serve.bench.cold import ColdStart
from serve.bench.samples import Rounds
from serve.machine import Memory, installed, read_memory

# Packages whose version changes how fast something is.
_PACKAGES = (
    "numpy",
    "onnxruntime",
    "opencv-python-headless",
    "openvino",
    "torch",
    "torch-neuron",
    "torch-neuronx",
)


@dataclass(frozen=True)
class Settings:
    """How it is measured."""

    rounds: int  # that count
    warm_up: int  # rounds before them
    runs: int  # of the network per round
    starts: int  # new processes per artifact
    streams: tuple[int, ...]  # runs at once, for the throughput
    images: Path  # folder for end to end


@dataclass(frozen=True)
class Machine:
    system: str
    cpu: Cpu
    memory: Memory
    load: tuple[float, float, float]  # runnable processes when it began: 1, 5 and 15 minutes
    versions: Mapping[str, str]  # of Python and the packages that do the work


@dataclass(frozen=True)
class Result:
    """Everything measured on one artifact. Rounds hold raw samples."""

    artifact: str  # name of its folder
    identity: str
    target: str
    precision: str
    state: str  # verified, built or failed
    program: str  # that the network alone was measured with
    cold_starts: list[ColdStart]
    latency_ms: Rounds
    images_per_s: Mapping[int, Rounds]  # by streams; one sample a round
    folder_s_per_image: Rounds  # end to end, one sample a round


@dataclass(frozen=True)
class Report:
    made: str  # ISO 8601, UTC
    settings: Settings
    machine: Machine
    results: list[Result]

    def json(self) -> str:
        """All of it."""
        data = asdict(self)
        data["settings"]["images"] = str(self.settings.images)
        return json.dumps(data, indent=2, allow_nan=False) + "\n"


def now() -> str:
    """The time, for `Report.made`."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def describe_machine() -> Machine:
    """This machine, as it is now."""
    packages = installed()
    versions = {name: packages[name] for name in _PACKAGES if name in packages}
    versions["python"] = platform.python_version()
    return Machine(platform.platform(), read_cpu(), read_memory(), os.getloadavg(), versions)
