"""Engines over programs that are made up: any sizes and batches, nothing to build or to load."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Callable
from weakref import WeakSet

import numpy as np

from depth.artifact.manifest import Artifact
from depth.artifact.program import Program, ProgramKey
from depth.images.read import decode_image
from depth.maps.result import FloatArray
from depth.sizes import Size
from serve.arrays import Arrays
from serve.engine import Engine, Prepared
from serve.library import Library
from tests.support.hostile import encoded, picture
from tests.support.manifests import made_artifact, made_manifest
from tests.support.simulated import simulated_depth, simulated_outputs


def library_of(keys: Sequence[ProgramKey], builds: bool = False) -> Library:
    """Programs for OpenVINO, as far as a manifest goes; with `builds` any size can be had."""

    def build(sizes: Sequence[Size]) -> list[Artifact]:
        return [made_artifact(made_manifest([ProgramKey(*size, 1) for size in sizes]))]

    return Library([made_artifact(made_manifest(keys))], build if builds else None)


def image_of(engine: Engine, size: Size, seed: int = 0) -> Prepared:
    """An image that needs no resizing for a program of this size."""
    data = encoded(picture(*size, seed=seed), "PNG", compress_level=1)
    return engine.prepare(decode_image(data, f"image {seed}"))


def images_of(engine: Engine, count: int, *sizes: Size) -> list[Prepared]:
    """Images of which no two are alike, the sizes taking turns."""
    return [image_of(engine, sizes[i % len(sizes)], seed=i) for i in range(count)]


def depth_of(prepared: Prepared) -> FloatArray:
    """What `Programs` and simulated devices make of an image."""
    return simulated_depth(prepared.arrays["images"][None])[0]


def is_depth_of(found: Arrays, prepared: Prepared) -> bool:
    return np.array_equal(found["depth"], depth_of(prepared))


class Programs:
    """Stands in for `serve.backend.open_runtime`; counts what is opened and what is still there."""

    def __init__(self) -> None:
        self.opened: list[Size] = []
        self.streams = 0
        self.alive: WeakSet[_Program] = WeakSet()
        self.most_alive = 0
        self.on_run: Callable[[Arrays], object] = lambda _arrays: None  # may raise
        self._lock = threading.Lock()

    def __call__(self, _artifact: Artifact, stages: Sequence[Program], streams: int) -> _Program:
        program = _Program(self, stages[0].size)
        with self._lock:
            self.streams = streams
            self.opened.append(program.size)
            self.alive.add(program)
            self.most_alive = max(self.most_alive, len(self.alive))
        return program

    @property
    def sizes(self) -> set[Size]:
        """Of the programs that are in memory."""
        return {program.size for program in self.alive}


class _Program:
    def __init__(self, programs: Programs, size: Size) -> None:
        self.size = size
        self._programs = programs

    def run(self, arrays: Arrays) -> dict[str, FloatArray]:
        self._programs.on_run(arrays)
        return simulated_outputs(arrays)
