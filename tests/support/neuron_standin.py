"""Fixtures that make the stand-ins of both SDKs look installed, and steer them.

A test module that imports `standin_fixture` has the fixture `standin`, which is torch-neuron; with
`neuronx_fixture` it has `neuronx`, which is torch-neuronx.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from compile.lowering.passes import lower
from compile.targets import host
from compile.targets.protocols import Part, Settings
from compile.targets.table import NEURON_PASSES
from depth.family import IMAGES, Port, Stage
from depth.network.base import Network
from depth.neuron_runtime import EXEC_TIMEOUT
from tests.support.networks import TINY, network
from tests.support.places import STANDINS

SMALL = (28, 42)  # (height, width) px
GOOD_INF1 = {
    "torch": "1.13.1",
    "torch-neuron": "1.13.1.2.11.13.0",
    "neuron-cc": "1.24.0.0",
    "numpy": "1.22.2",
    "protobuf": "3.19.5",
    "tensorflow": "1.15.5.post1",
    "setuptools": "69.5.1",
}
GOOD_INF2 = {
    "torch": "2.7.0",
    "torch-neuronx": "2.7.0.2.10.16998",
    "neuronx-cc": "2.21.33363.0",
    "protobuf": "3.20.3",
}
PLATFORM = "NEURON_PLATFORM_TARGET_OVERRIDE"
IS_1_13 = torch.__version__.split("+")[0] == "1.13.1"
needs_torch_1_13 = pytest.mark.skipif(
    not IS_1_13, reason="torch-neuron's stand-in, as the real one, takes torch 1.13.1 only"
)
needs_torch_2 = pytest.mark.skipif(
    IS_1_13, reason="torch-neuronx's stand-in, as the real one, takes torch 2.5 to 2.9 only"
)


@dataclass
class Standin:
    """What the stand-in compiler is told, and what it was called with."""

    control: Path
    settings: Settings
    monkeypatch: pytest.MonkeyPatch

    def behave(self, *words: str) -> None:
        """What the next calls of the compiler do; see tests/standins/neuron_base/compiler.py."""
        calls = len(self.calls())
        (self.control / "behaviours").write_text(" ".join(["ok"] * calls + list(words)))

    def swallow(self) -> None:
        """Let the tracer go on after a compiler failure although it was told not to."""
        (self.control / "swallow").touch()

    def calls(self) -> list[list[str]]:
        """The arguments of every call of the compiler so far."""
        path = self.control / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def plug_in(self, state: str = "1") -> None:
        """From now on there is a chip, and programs give real numbers; `wrong`: nonsense."""
        (self.control / "neuron0").touch()
        self.monkeypatch.setattr(host, "DEVICES", self.control)
        self.monkeypatch.setenv("NEURON_STANDIN_DEVICE", state)

    def unplug(self) -> None:
        """From now on there is no chip, as in the beginning."""
        self.monkeypatch.setattr(host, "DEVICES", self.control / "no devices")
        self.monkeypatch.delenv("NEURON_STANDIN_DEVICE", raising=False)


@pytest.fixture(name="standin")
def standin_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Standin:
    """torch-neuron and its compiler, as if this were a machine to compile on."""
    return pretend(tmp_path, monkeypatch, GOOD_INF1)


@pytest.fixture(name="neuronx")
def neuronx_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Standin:
    """torch-neuronx and its compiler, as if this were a machine to compile on."""
    monkeypatch.setenv(PLATFORM, "")  # building sets it: so it is restored
    monkeypatch.delenv(PLATFORM)
    return pretend(tmp_path, monkeypatch, GOOD_INF2)


def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packages: dict[str, str]) -> Standin:
    """The stand-in SDKs on the path, packages of these versions, and no chip."""
    control = tmp_path / "control"
    control.mkdir()
    monkeypatch.setenv("NEURON_STANDIN", str(control))
    monkeypatch.delenv("NEURON_STANDIN_DEVICE", raising=False)
    for name in ("NEURON_RT_NUM_CORES", EXEC_TIMEOUT):
        monkeypatch.setenv(name, "")  # loading sets it: so it is restored afterwards
        monkeypatch.delenv(name)
    monkeypatch.setattr(host, "DEVICES", tmp_path / "no devices")
    monkeypatch.syspath_prepend(str(STANDINS))
    pretend_installed(monkeypatch, tmp_path / "packages", packages)
    settings = Settings(tmp_path / "neuron", timeout_s=60.0, memory_limit_bytes=1 << 40)
    return Standin(control, settings, monkeypatch)


def pretend_installed(
    monkeypatch: pytest.MonkeyPatch, folder: Path, packages: dict[str, str]
) -> None:
    """Metadata of packages, as pip leaves it, in a folder that comes first on the path."""
    for name, version in packages.items():
        made = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        made.mkdir(parents=True)
        (made / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    monkeypatch.syspath_prepend(str(folder))


class Small(nn.Module):
    """The fewest operators that make a sub-graph: images [B,3,H,W] to depth [B,H,W]."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(1, 3, 1, 1, generator=generator), False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return F.relu(F.conv2d(images, self.weight)).squeeze(1)


def small() -> nn.Module:
    return Small().eval()


@functools.cache
def lowered(size: tuple[int, int] = SMALL) -> Network:
    """A tiny network as the Neuron targets get it; the same for all tests, which leave it alone."""
    return lower(network(TINY, size), NEURON_PASSES)


def example(batch: int = 1, size: tuple[int, int] = SMALL) -> torch.Tensor:
    return torch.zeros(batch, 3, *size)


def pictures(batch: int = 1, size: tuple[int, int] = SMALL) -> torch.Tensor:
    """Noise in the lowered networks' range, 0..255."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (batch, 3, *size), generator=generator).float()


WHOLE = Stage("fused", (IMAGES,), (Port("depth", "BHW"),))


def part(made: nn.Module, given: torch.Tensor) -> Part:
    """A network of images [B,3,H,W] to depth [B,H,W] as the whole of what is to be compiled."""
    batch, _, height, width = given.shape
    return Part(WHOLE, made, (given,), {"B": batch, "S": 1, "H": height, "W": width})
