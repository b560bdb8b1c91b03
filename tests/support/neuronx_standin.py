"""Fixtures that make the stand-in for torch-neuronx look installed, and steer it.

A test module that imports `neuronx_fixture` has the fixture `neuronx`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.neuron_standin import IS_1_13, Standin, pretend

GOOD_INF2 = {
    "torch": "2.7.0",
    "torch-neuronx": "2.7.0.2.10.16998",
    "neuronx-cc": "2.21.33363.0",
    "protobuf": "3.20.3",
}
needs_torch_2 = pytest.mark.skipif(
    IS_1_13, reason="torch-neuronx's stand-in, as the real one, takes torch 2.5 to 2.9 only"
)


@pytest.fixture(name="neuronx")
def neuronx_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Standin:
    """torch-neuronx and its compiler, as if this were a machine to compile on."""
    monkeypatch.setenv("NEURON_PLATFORM_TARGET_OVERRIDE", "")  # building sets it: so it is restored
    monkeypatch.delenv("NEURON_PLATFORM_TARGET_OVERRIDE")
    return pretend(tmp_path, monkeypatch, GOOD_INF2)
