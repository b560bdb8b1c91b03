"""The SDK of Inf1, as compile and serve use it. Loaded on use: few machines have it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from compile.targets.table import builder, target_named
from depth_anything.first_run.compile_host import TARGET

if TYPE_CHECKING:
    from compile.neuron.builder import NeuronBuilder
    from serve.runtimes.neuron_program import Chip


def toolchain() -> NeuronBuilder:
    """What compiles. Its method `sdk` imports the SDK and raises HostError without it."""
    return cast("NeuronBuilder", builder(target_named(TARGET)))


def chip() -> Chip:
    """What loads programs on cores. `placed_on` raises ProgramError without the SDK."""
    return cast("Chip", import_module("serve.runtimes.neuron").CHIP)
