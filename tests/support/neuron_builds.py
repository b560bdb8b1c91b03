"""Artifacts of a tiny network for the device target of this environment, through a stand-in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compile.build import proven
from compile.build.build import build
from compile.build.request import Request
from compile.neuron import program
from compile.preflight import check
from compile.preflight import programs as preflights
from compile.preflight.costs import Costs
from compile.untrained import untrained_checkpoint
from depth.artifact.manifest import Artifact, read_artifact
from depth.network.base import Network
from depth_anything_v2.config import model_row
from tests.support.networks import TINY
from tests.support.neuron_standin import (
    IS_1_13,
    SMALL,
    Standin,
    neuronx_fixture,
    standin_fixture,
)

__all__ = ["neuronx_fixture", "standin_fixture"]
TARGET = "inf1" if IS_1_13 else "inf2"
SDK = {"inf1": {"torch-neuron", "neuron-cc"}, "inf2": {"torch-neuronx", "neuronx-cc"}}[TARGET]
TALL = (42, 28)
TINY_MODEL = model_row("tiny", TINY)
PRECISION = "matmult-fp16"  # both have it
# The tries for a network with stages, after "as asked".
EASIER = {
    "inf1": (
        "stages apart",
        "stages apart, precision matmult-fp16-relayout",
        "stages apart, precision matmult-fp16-relayout, fewer optimisations (-O 0)",
        "stages apart, precision matmult-fp16-relayout, fewer optimisations (-O legacy)",
    ),
    "inf2": ("stages apart", "stages apart, fewer optimisations (--optlevel 1)"),
}[TARGET]


@pytest.fixture(name="device")
def device_fixture(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Standin:
    made: Standin = request.getfixturevalue("standin" if IS_1_13 else "neuronx")
    monkeypatch.setenv("HOME", str(made.settings.folder))  # where the command keeps its files
    # It counts the work of every pass again for every program, and takes most of the time.
    monkeypatch.setattr(check, "costs", lambda network, passes: Costs(1, ()))  # noqa: ARG005
    remember(monkeypatch)
    return made


_REMEMBERED: dict[tuple[Any, ...], Any] = {}


def remember(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower, judge and trace each network once for all tests here: a model has the same weights."""

    def once(place: Any, name: str, key: Callable[..., tuple[Any, ...]]) -> None:
        function = getattr(place, name)

        def remembered(*arguments: Any) -> Any:
            asked = (name, *key(*arguments))
            if asked not in _REMEMBERED:  # with the arguments, so that no other gets their id
                _REMEMBERED[asked] = function(*arguments), arguments
            return _REMEMBERED[asked][0]

        monkeypatch.setattr(place, name, remembered)

    once(proven, "lower", lambda network, passes: (*network_key(network), passes))
    once(
        preflights,
        "preflight",
        lambda network, example, _target, passes, *_: (*network_key(network), len(example), passes),
    )
    once(program, "trace", lambda module, examples: (id(module), *(e.shape for e in examples)))


def network_key(network: Network) -> tuple[Any, ...]:
    return network.model.name, network.fixed_size


@pytest.fixture(name="made")
def made_fixture(device: Standin, tmp_path: Path) -> Callable[..., Artifact]:
    """Builds an artifact; arguments are fields of the request."""

    def made(**changes: Any) -> Artifact:
        request = Request(
            TINY_MODEL,
            untrained_checkpoint(TINY_MODEL),
            TARGET,
            PRECISION,
            [SMALL],
            settings=device.settings,
        )
        return read_artifact(build(replace(request, **changes), tmp_path / "out"))

    return made


Made = Callable[..., Artifact]
