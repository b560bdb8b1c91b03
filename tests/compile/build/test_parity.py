"""The parity gate in a build: a target whose saved program differs from the network as told."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import numpy as np
import pytest
import torch

from compile.build.build import build
from compile.errors import ParityError
from compile.targets.protocols import Arrays, Limit, Part, Ports, Run
from compile.targets.table import TARGETS, Target
from depth.artifact.manifest import Manifest, read_artifact
from depth.maps.result import FloatArray
from tests.support.networks import SIZE, request


class Shifted:
    def __init__(self, scale: float) -> None:
        self.scale = scale

    def build(self, part: Part, stem: Path, precision: str) -> list[Path]:
        assert precision == "fp32"
        self.network = part.module
        path = stem.parent / f"{stem.name}.txt"
        path.write_text(str(tuple(part.examples[0].shape)))
        return [path]

    def load(self, files: Sequence[Path], ports: Ports, precision: str) -> Run:
        assert precision == "fp32"
        assert files[0].is_file()
        assert ports == Ports(("images",), ("depth",), ("float32",))
        return self.run

    def run(self, arrays: Arrays) -> dict[str, FloatArray]:
        depth = self.network(torch.from_numpy(arrays["images"])).numpy()
        return {"depth": depth * np.float32(self.scale)}

    def flags(self, precision: str) -> tuple[str, ...]:
        return (f"scale={self.scale}", precision)

    def versions(self) -> dict[str, str]:
        return {"shifted": "1"}


@pytest.fixture
def shifted(monkeypatch: pytest.MonkeyPatch) -> Shifted:
    stub = Shifted(1.0)
    monkeypatch.setattr("compile.build.package.source_sha256", lambda *_: "0" * 64)
    limits = {"fp32": Limit(1e-3, 1e-3, 1e-3, 1e-3)}
    monkeypatch.setitem(TARGETS, "shifted", Target("shifted", "shifted_target", limits, "a test"))
    monkeypatch.setitem(sys.modules, "shifted_target", stub)  # type: ignore[misc]
    return stub


def max_rel(manifest: Manifest) -> Optional[float]:
    measured = manifest.programs[0].measured
    assert measured is not None
    return measured["depth"]["max_rel"]


def test_a_program_within_the_limit_passes(tmp_path: Path, shifted: Shifted) -> None:
    shifted.scale = 1.0005
    m = read_artifact(build(request(target="shifted"), tmp_path)).manifest
    assert m.gate.passed
    assert max_rel(m) == 0.0005
    assert m.flags == ("scale=1.0005", "fp32")
    assert m.versions["shifted"] == "1"


@pytest.mark.parametrize("scale", [1.002, float("nan"), float("inf"), -1.0])
def test_a_program_over_the_limit_leaves_nothing(
    tmp_path: Path, shifted: Shifted, scale: float
) -> None:
    shifted.scale = scale
    text = "28x42-b1: .*max_rel|not finite"
    with pytest.raises(ParityError, match=text):
        build(request(target="shifted", sizes=[(28, 42), SIZE]), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_force_writes_it_and_says_so(tmp_path: Path, shifted: Shifted) -> None:
    shifted.scale = 1.25
    artifact = read_artifact(build(request(target="shifted", force=True), tmp_path))
    assert not artifact.manifest.gate.passed
    assert max_rel(artifact.manifest) == 0.25
    assert "FAILED, written because it was forced" in (artifact.folder / "report.md").read_text()


def test_even_force_writes_no_program_that_gives_nan(tmp_path: Path, shifted: Shifted) -> None:
    shifted.scale = float("nan")
    with pytest.raises(ParityError, match="not finite on 'constant'"):
        build(request(target="shifted", force=True), tmp_path)
    assert list(tmp_path.iterdir()) == []
