"""Runs scenes through a checkout of Depth Anything 3, for tests/benchmarks/scenes.py.

python scenes_upstream.py CHECKOUT MODEL HEIGHTxWIDTH VIEWS

A line on stdin is answered with the seconds of a scene. Imports nothing of ours but what tests use
to run upstream. Float32, without autocast: upstream's own class computes in half precision.
"""

from __future__ import annotations

import contextlib
import io
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from upstream_da3 import stub_what_is_missing, use  # noqa: E402
from upstream_da3_views import seed_weights  # noqa: E402


def main() -> None:
    checkout, name, size, views = sys.argv[1:]
    height, width = map(int, size.split("x"))
    stub_what_is_missing()
    use(Path(checkout))
    with contextlib.redirect_stdout(io.StringIO()), torch.no_grad():  # upstream logs to stdout
        from depth_anything_3.api import DepthAnything3

        api: Any = DepthAnything3(model_name=name).eval()
        seed_weights(api)
        images = torch.randn(1, int(views), 3, height, width)
        for _ in sys.stdin:
            started = time.perf_counter()
            api.model(images, None, None, [], False, False, "saddle_balanced")
            took = time.perf_counter() - started
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            sys.stderr.write(f"{took} {peak / 1024}\n")
            sys.stderr.flush()


if __name__ == "__main__":
    main()
