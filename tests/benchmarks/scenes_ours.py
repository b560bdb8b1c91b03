"""Runs scenes through an artifact, for tests/benchmarks/scenes.py.

python -m tests.benchmarks.scenes_ours ARTIFACT HEIGHTxWIDTH VIEWS

A line on stdin is answered with the seconds of a scene, from network inputs to depth and cameras.
No first stage is kept. Loads no torch.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import numpy as np

from depth.artifact.manifest import read_artifact
from depth.sizes import parse_size
from serve.scenes.asked import SceneAsked
from serve.scenes.cache import PrefixCache
from serve.scenes.engine import SceneEngine
from serve.scenes.library import SceneLibrary
from serve.scenes.watch import Wanted


def main() -> None:
    artifact = read_artifact(Path(sys.argv[1]))
    size, views = parse_size(sys.argv[2], artifact.manifest.size.check), int(sys.argv[3])
    shape = (views, 3, *size)
    images = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    with SceneEngine(SceneLibrary([artifact]), cache=PrefixCache(0)) as engine:
        served = engine.library.scene(size, views)
        for _ in sys.stdin:
            started = time.perf_counter()
            engine.views(images, None, SceneAsked(), served, engine.watch(Wanted()))
            took = time.perf_counter() - started
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            sys.stderr.write(f"{took} {peak / 1024}\n")
            sys.stderr.flush()


if __name__ == "__main__":
    main()
