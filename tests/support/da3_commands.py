"""`python main.py da3` in this process, on tiny networks, in a folder with pictures."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from depth_anything.cli import main
from tests.support.commands import Ended, ended
from tests.support.da3_pictures import SIDE, pictures, saved

SMALL = ("--model-dir", "model", "--process-res", SIDE, "--target", "eager")


def da3(*arguments: object) -> Ended:
    """The command with these arguments."""
    return ended(partial(main, "main.py"), "main.py", "da3", *arguments)


def prepare(folder: Path) -> None:
    """`model`, the tiny network, and `photos` with three pictures of one size."""
    saved(folder / "model")
    (folder / "photos").mkdir()
    for name, pixels in zip(("b.png", "a.PNG", "c.jpg"), pictures(3, [(60, 90)] * 3)):
        Image.fromarray(pixels).save(folder / "photos" / name, quality=95)


def described(folder: Path) -> Any:
    """What scene.json says."""
    return json.loads((folder / "scene.json").read_text())


def results(folder: Path) -> Any:
    """The arrays of mini_npz."""
    return np.load(folder / "exports/mini_npz/results.npz")
