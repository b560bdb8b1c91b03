"""Rendered training scenes on disk, in chunks: made once, by all cores, read by every epoch."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.progress import Progress

from checkpoints.demo.scenes.kinds import SEEN
from checkpoints.demo.scenes.render import render

Halves = npt.NDArray[np.float16]

SIZE = (168, 224)  # px; larger than the training crops, so that crops can move
CHUNK = 250  # scenes in one file pair
VERSION = 1  # raise it when the scenes change: old chunks are then not used


@dataclass(frozen=True)
class Pool:
    """Training scenes: images [H,W,3] uint8 BGR and inverse depth [H,W], 0 is sky."""

    images: list[npt.NDArray[np.uint8]]  # chunks [CHUNK,H,W,3], memory-mapped
    inverse: list[Halves]  # chunks [CHUNK,H,W]

    def __len__(self) -> int:
        return CHUNK * len(self.images)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.uint8], Halves]:
        chunk, row = divmod(index, CHUNK)
        return self.images[chunk][row], self.inverse[chunk][row]


def open_pool(folder: Path, scenes: int, workers: int, progress: Progress) -> Pool:
    """The first `scenes` training scenes (rounded up to whole chunks), rendered where missing."""
    folder.mkdir(parents=True, exist_ok=True)
    chunks = range(-(-scenes // CHUNK))
    missing = [n for n in chunks if not _path(folder, "depth", n).exists()]
    task = progress.add_task("rendering scenes", total=len(chunks) * CHUNK)
    progress.advance(task, (len(chunks) - len(missing)) * CHUNK)
    if missing:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as processes:
            for done in processes.map(_render_chunk, [folder] * len(missing), missing):
                progress.advance(task, done)
    return Pool(
        [np.load(_path(folder, "image", n), mmap_mode="r") for n in chunks],
        [np.load(_path(folder, "depth", n), mmap_mode="r") for n in chunks],
    )


def training_kind(seed: int) -> str:
    """The kind of training scene number `seed`; never one of the unseen kinds."""
    return list(SEEN)[seed % len(SEEN)]


def _path(folder: Path, what: str, number: int) -> Path:
    return folder / f"v{VERSION}-{SIZE[0]}x{SIZE[1]}-{what}-{number:04d}.npy"


def _render_chunk(folder: Path, number: int) -> int:
    seeds = range(number * CHUNK, (number + 1) * CHUNK)
    scenes = [render(seed, training_kind(seed), SIZE) for seed in seeds]
    _save(_path(folder, "image", number), np.stack([scene.image for scene in scenes]))
    # The depth file is the last to appear: where it is, the chunk is complete.
    inverse = np.stack([scene.inverse_depth for scene in scenes]).astype(np.float16)
    _save(_path(folder, "depth", number), inverse)
    return CHUNK


def _save(path: Path, array: npt.NDArray[np.generic]) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as stream:
        np.save(stream, array)
    part.replace(path)
