"""Videos of a sequence are given up where no coding takes the pictures."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from depth.family import RELATIVE_INVERSE
from depth.maps.result import Map
from serve.folder.request import FolderJob
from serve.sequences.outputs import Videos
from tests.support.videos import av


def test_pictures_that_no_video_takes_leave_none(tmp_path: Path) -> None:
    assert av()
    wide = Map(np.linspace(0, 1, 40_000, dtype=np.float32).reshape(2, 20_000), RELATIVE_INVERSE)
    with Videos(FolderJob(tmp_path, tmp_path, preview=True), Fraction(1, 24), Fraction(24)) as made:
        for number in range(2):
            made.add(wide, Fraction(number, 24))
        assert made.problem.startswith("no videos: no video (")
        assert "of 20000x2 px" in made.problem
        assert made.names == []
    assert list(tmp_path.iterdir()) == []
