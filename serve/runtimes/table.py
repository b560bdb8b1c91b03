"""One interface for everything that runs a program, and the table of what there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Optional, Protocol

from depth.artifact.manifest import Artifact
from depth.artifact.program import Program
from depth.maps.result import FloatArray
from serve.arrays import Arrays
from serve.errors import ProgramError


class Runtime(Protocol):
    """Runs one loaded program. Its memory goes with the last reference to it."""

    def run(self, arrays: Arrays) -> dict[str, FloatArray]:
        """Inputs by name to outputs by name, float32 in exactly the shapes of `Program`.

        Further arrays are left alone. Safe in any thread; calls beyond what runs at once wait.
        Raises ProgramError.
        """


_MODULES = {  # manifest target -> the only module that imports its package
    "openvino": "serve.runtimes.openvino",
    "onnx": "serve.runtimes.onnxruntime",
    "torchscript": "serve.runtimes.torchscript",
    "inf1": "serve.runtimes.neuron",
    "inf2": "serve.runtimes.neuronx",
}
_ON_CORES = ("inf1", "inf2")  # their programs are placed on single cores


@dataclass(frozen=True)
class Chain:
    """Programs one after the other, joined by the names of their tensors."""

    stages: Sequence[Runtime]
    outputs: tuple[str, ...]  # the names that are handed out

    def run(self, arrays: Arrays) -> dict[str, FloatArray]:
        have = dict(arrays)
        for stage in self.stages:
            have.update(stage.run(have))
        return {name: have[name] for name in self.outputs}


def open_runtime(artifact: Artifact, stages: Sequence[Program], streams: int = 1) -> Chain:
    """Load what `Manifest.stages` gives on the CPU; bytes are checked against their hashes first.

    `streams` runs are wanted at once, sharing the cores; a runtime may do fewer.
    Raises ProgramError if the target is unknown, its package is missing, or loading fails;
    ArtifactError if the bytes are not what the manifest says.
    """
    module = _module(artifact)
    return _chained(artifact, [module.open_program(artifact, each, streams) for each in stages])


def core_count(artifact: Artifact) -> Optional[int]:
    """How many cores of its chip this process has; None for a target that runs on the CPU.

    Raises ProgramError as `open_runtime`, and if there is no core.
    """
    if artifact.manifest.target not in _ON_CORES:
        return None
    count: int = _module(artifact).CHIP.core_count(artifact)
    return count


def open_on_core(artifact: Artifact, stages: Sequence[Program], core: int) -> Chain:
    """As `open_runtime`, on the core that is the `core`-th of this process, counted from 0."""
    chip = _module(artifact).CHIP
    return _chained(artifact, [chip.open_on_core(artifact, each, core) for each in stages])


def _module(artifact: Artifact) -> Any:
    target = artifact.manifest.target
    if target not in _MODULES:
        raise ProgramError(
            f"{artifact.folder}: no runtime for target {target!r}; there are {', '.join(_MODULES)}"
        )
    try:
        return import_module(_MODULES[target])
    except ImportError as error:
        raise ProgramError(
            f"target {target!r} needs a package that is not installed ({error}); run `make setup`"
        ) from error


def _chained(artifact: Artifact, opened: Sequence[Runtime]) -> Chain:
    return Chain(opened, tuple(output.name for output in artifact.manifest.outputs))
