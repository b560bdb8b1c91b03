"""Flicker and error of a rendered pan whose frames have random scales and shifts.

python -m tests.benchmarks.sequences [FRAMES]
"""

from __future__ import annotations

import sys

import numpy as np

from depth.console import markdown
from depth.family import RELATIVE_INVERSE
from depth.sequences.following import ALIGNMENTS, Following, Look, moved
from depth.sequences.ranges import RANGES
from tests.support.pan import abs_rel, guessed
from tests.support.sequences import pan

_HEADING = ("--align", "--range", "flicker", "error of a frame", "error, one fit for all")


def main(count: int) -> None:
    rng = np.random.default_rng(1)
    shots = pan(count)
    values = [guessed(each.inverse, rng) for each in shots]
    truth = np.stack([each.inverse for each in shots])
    rows = []
    for align in ALIGNMENTS:
        for ranges in RANGES:
            following = Following(RELATIVE_INVERSE, align, ranges)
            looks = (Look.of(s.rgb[:, :, ::-1], v) for s, v in zip(shots, values))
            written = [moved(v, following.place(look).move) for look, v in zip(looks, values)]
            each = np.mean([abs_rel(v, s.inverse) for v, s in zip(written, shots)])
            whole = abs_rel(np.stack(written), truth)
            figure = f"{following.before.figure:.3f} → {following.after.figure:.3f}"
            rows.append((align, ranges, figure, f"{each:.2%}", f"{whole:.2%}"))
    sys.stdout.write("\n".join(markdown(_HEADING, rows, right=(2, 3, 4))) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 24)
