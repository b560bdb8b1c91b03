"""Sequences of the rendered pan, and an engine that guesses their depth as a network would.

As a script it runs a sequence job with the real command's output and signals:

    python -m tests.support.sequences INPUT OUTPUT SECONDS_PER_FRAME
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from depth.artifact.program import ProgramKey
from depth.maps.result import FloatArray
from serve.arrays import Arrays
from serve.backend import Backend, ProgramWorker
from serve.engine import Engine
from serve.folder.options import FolderOptions
from serve.folder.request import FolderJob
from serve.library import Library
from serve.shapes import BUCKETS
from tests.support.manifests import made_artifact, made_manifest
from tests.support.pan import SIZE, Shot, guessed, shot
from tests.support.videos import av

NETWORK = (98, 126)  # (height, width) px: whole patches
BITS, BIT_PX = 9, 8  # the number of a frame, in its first rows, as black and white squares
_made: list[Engine] = []


def stamped(found: Shot, number: int) -> np.ndarray:
    """RGB with the frame's number in it, which survives a codec."""
    rgb = found.rgb.copy()
    for bit in range(BITS):
        rgb[:BIT_PX, bit * BIT_PX : (bit + 1) * BIT_PX] = 255 * (number >> bit & 1)
    return rgb


def pan(count: int, cut: int = 0, way: float = 0.3) -> list[Shot]:
    """Frames of a pan; from number `cut` on, if it is given, of another scene."""
    steps = [way * number / max(1, count - 1) for number in range(count)]
    return [shot(at, int(bool(cut) and n >= cut)) for n, at in enumerate(steps)]


class Guess:
    """Finds the number of a frame in its picture, and guesses its depth."""

    def __init__(self, shots: list[Shot], duration_s: float = 0.0, noise: float = 0.01) -> None:
        self.runs = 0
        self.duration_s = duration_s
        rng = np.random.default_rng(1)
        self.values = [guessed(each.inverse, rng, noise) for each in shots]

    def run(self, arrays: Arrays) -> dict[str, FloatArray]:
        self.runs += 1
        time.sleep(self.duration_s)
        guesses = [self.values[number_in(image)] for image in arrays["images"]]
        size = NETWORK[::-1]
        return {"depth": np.stack([cv2.resize(guess, size) for guess in guesses])}


def number_in(image: FloatArray) -> int:
    """The number of a frame, of the network's input [3,h,w]."""
    scale_y, scale_x = NETWORK[0] / SIZE[0], NETWORK[1] / SIZE[1]
    row = int(BIT_PX / 2 * scale_y)
    bits = [image[:, row, int((bit + 0.5) * BIT_PX * scale_x)].mean() > 0 for bit in range(BITS)]
    return sum(int(bit) << place for place, bit in enumerate(bits))


def engine_of(guess: Guess, identity: str = "0" * 64) -> Engine:
    """Closed by `close_engines`."""
    manifest = made_manifest([ProgramKey(*NETWORK, 1)])
    library = Library([replace(made_artifact(manifest), identity=identity)])
    workers = [ProgramWorker(lambda _program: guess) for _ in range(2)]
    backend = Backend(workers, None, images_at_once=4, shared=True)
    _made.append(Engine(library, BUCKETS, backend=lambda *_: backend))
    return _made[-1]


def close_engines() -> None:
    while _made:
        _made.pop().close()


def write_frames(folder: Path, shots: list[Shot]) -> Path:
    """PNG files frame0.png, frame1.png, ..., frame10.png: natural order is not that of letters."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, each in enumerate(shots):
        cv2.imwrite(str(folder / f"frame{number}.png"), stamped(each, number)[:, :, ::-1])
    return folder


def write_film(path: Path, shots: list[Shot], times: list[Fraction]) -> Path:
    """A video of the frames at these times in s, which are multiples of 1/90000 s."""
    library, tick = av(), Fraction(1, 90_000)
    path.parent.mkdir(parents=True, exist_ok=True)
    with library.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "12"})
        (stream.height, stream.width), stream.pix_fmt = SIZE, "yuv420p"
        stream.codec_context.time_base = tick
        for number, (each, at) in enumerate(zip(shots, times)):
            drawn = library.VideoFrame.from_ndarray(stamped(each, number), format="rgb24")
            drawn.pts, drawn.time_base = round(at / tick), tick
            container.mux(stream.encode(drawn))
        container.mux(stream.encode())
    return path


def main() -> None:
    from serve.jobs.stop import Stop
    from serve.sequences.cli import run

    source, output, duration_s, frames = sys.argv[1:]
    options = FolderOptions(sequence=True, range=None, align=None, fps=None)
    engine = engine_of(Guess(pan(int(frames)), float(duration_s)))
    sys.exit(run(engine, options, FolderJob(Path(source), Path(output), preview=True), Stop()))


if __name__ == "__main__":
    main()
