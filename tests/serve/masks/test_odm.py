"""OpenDroneMap's own code finds our masks, and takes none of them for an image.

    CONSUMERS_UPSTREAM=FOLDER make test ARGS=tests/serve/masks/test_odm.py

FOLDER has a checkout of OpenDroneMap as ODM.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from PIL import Image

from tests.support.consumers import UPSTREAM, needs_checkout
from tests.support.mask_jobs import depth_for, masks_, photos

NAMES = ("DJI_0001.JPG", "b.c.png", "two.tiff")
FUNCTIONS = ("valid_filename", "get_images", "find_mask")


def nodes(path: str, wanted: Callable[[ast.AST], bool], count: int) -> list[ast.stmt]:
    """Statements of a file of the checkout, at any depth."""
    text = Path(os.environ[UPSTREAM], "ODM", path).read_text("utf-8")
    found = [node for node in ast.walk(ast.parse(text)) if wanted(node)]
    assert len(found) == count, f"{path} is not as it was"
    return cast("list[ast.stmt]", found)


def is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name in FUNCTIONS


def is_loop(node: ast.AST) -> bool:
    return isinstance(node, ast.For) and ast.unparse(node.iter) == "rejects"


def is_extensions(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "supported_extensions"


def found_by_odm(folder: Path) -> dict[str, Any]:
    """The mask of each image by the functions of its stage, and by its loop over other files."""
    context: dict[str, Any] = {}
    run(nodes("opendm/context.py", is_extensions, 1), context)
    around: dict[str, Any] = {"os": os, "context": SimpleNamespace(**context), "masks": {}}
    around["log"] = SimpleNamespace(ODM_WARNING=print)
    run(nodes("stages/dataset.py", is_function, 3), around)
    files, around["rejects"] = around["get_images"](str(folder))
    run(nodes("stages/dataset.py", is_loop, 1), around)
    return {name: around["find_mask"](name, around["masks"]) for name in files}


def run(statements: list[ast.stmt], around: dict[str, Any]) -> None:
    exec(compile(ast.Module(statements, []), "ODM", "exec"), around)  # noqa: S102


@needs_checkout("ODM")
def test_opendronemap_finds_the_mask_of_each_image(tmp_path: Path) -> None:
    images = photos(tmp_path / "in", NAMES)
    for name in NAMES[1:]:
        Image.open(images / name).save(images / name)
    depth = depth_for(tmp_path / "depth", images)
    options = ("--farthest", "20", "--mask-layout", "odm", "--no-preview")
    done = masks_("-i", images, "-o", images, "--depth", depth, *options)
    assert done.code == 0, done.err
    found = found_by_odm(images)
    assert set(found) == set(NAMES), "no mask is taken for an image"
    for name, mask in found.items():
        assert mask == f"{Path(name).stem}_mask.png"
        assert (np.asarray(Image.open(images / mask)) == 0).mean() > 0.1, "0 is ignored"


@needs_checkout("ODM")
def test_opendronemap_ignores_a_name_with_a_space(tmp_path: Path) -> None:
    """Why our layout refuses it."""
    for name in ("a b.jpg", "a b_mask.png"):
        (tmp_path / name).touch()
    assert found_by_odm(tmp_path) == {"a b.jpg": None}
