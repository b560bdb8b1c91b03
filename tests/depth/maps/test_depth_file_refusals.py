"""Reading refuses altered files, wrong descriptions and damaged JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from functools import reduce
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from depth.errors import DepthFileError, InputError
from depth.family import METRES
from depth.maps.files import FORMATS, read_depth, write_result
from depth.maps.meta import parse_sidecar
from tests.support.depth_samples import SOURCE, ramp, result


def edit(sidecar: Path, change: Callable[[dict[str, Any]], object]) -> None:
    meta = json.loads(sidecar.read_text("utf-8"))
    change(meta)
    sidecar.write_text(json.dumps(meta), "utf-8")


def test_a_preview_is_not_depth(tmp_path: Path) -> None:
    write_result(result(ramp()), tmp_path / "x.jpg", ["png"], SOURCE, preview=True)
    with pytest.raises(DepthFileError, match=r"x\.jpg\.preview\.jpg: previews hold no depth"):
        read_depth(tmp_path / "x.jpg.preview.jpg")


@pytest.mark.parametrize("name", FORMATS)
def test_an_altered_file_is_noticed_through_its_json(name: str, tmp_path: Path) -> None:
    depth = result(ramp())
    path, sidecar = write_result(depth, tmp_path / "x", [name], SOURCE)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DepthFileError, match="has other bytes than its .json says"):
        read_depth(sidecar)
    if name not in ("png", "npz"):
        with pytest.raises(DepthFileError, match="has other bytes than its .json says"):
            read_depth(path)


@pytest.mark.filterwarnings("ignore:Truncated File Read")  # of Pillow
@pytest.mark.parametrize("name", ["exr", "tiff"])
@pytest.mark.parametrize("end", [0, 5, 100, -1])
def test_a_damaged_file_with_a_matching_json_is_refused(
    name: str, end: int, tmp_path: Path
) -> None:
    path, sidecar = write_result(result(ramp(33, 9)), tmp_path / "x", [name], SOURCE)
    data = path.read_bytes()[:end]
    path.write_bytes(data)
    entry = {"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    edit(sidecar, lambda meta: meta["maps"]["depth"]["files"][name].update(entry))
    with pytest.raises(DepthFileError, match="damaged"):
        read_depth(path)


def test_a_picture_saved_anew_without_its_text_is_noticed(tmp_path: Path) -> None:
    path, _ = write_result(result(ramp()), tmp_path / "x", ["png"], SOURCE)
    cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
    with pytest.raises(DepthFileError, match="has other bytes"):
        read_depth(path)


@pytest.mark.parametrize("name", FORMATS)
def test_a_json_of_another_size_is_noticed(name: str, tmp_path: Path) -> None:
    _, sidecar = write_result(result(ramp(6, 8)), tmp_path / "x", [name], SOURCE)
    edit(sidecar, lambda meta: meta["maps"]["depth"].update(width_px=9))
    with pytest.raises(DepthFileError, match="they do not belong together"):
        read_depth(sidecar)


def depth(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda meta: meta["maps"]["depth"].update(changes)


def file(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda meta: meta["maps"]["depth"]["files"]["png"].update(changes)


def without(key: str, *path: str) -> Callable[[dict[str, Any]], object]:
    return lambda meta: reduce(lambda holder, name: holder[name], path, meta).pop(key)


PNG = ("maps", "depth", "files", "png")
BAD_FIELDS: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
    ("has format 1, this version reads 2", lambda meta: meta.update(format=1)),
    ("missing field maps.depth.kind", without("kind", "maps", "depth")),
    ("field maps.depth.width_px is '7', expected int", depth(width_px="7")),
    ("field maps.depth.height_px is True", depth(height_px=True)),
    ("it declares 100000 x", depth(width_px=100_000, height_px=100_000)),
    ("it declares 0 x", depth(width_px=0)),
    ("kind 'inverse'", depth(kind="inverse")),
    ("needs a map 'depth' of a kind of depth", depth(kind="sky")),
    ("field maps.depth.largest is '20'", depth(largest="20")),
    ("missing field provenance.weights", without("weights", "provenance")),
    ("field provenance.steps is 'none'", lambda meta: meta["provenance"].update(steps="none")),
    (
        "provenance.model_width_px is '1'",
        lambda meta: meta["provenance"].update(model_width_px="1"),
    ),
    ("missing field focal", without("focal")),
    ("field focal.px is '1'", lambda meta: meta.update(focal={"px": "1", "source": "exif"})),
    ("field maps.depth.files is", depth(files=[])),
    ("field maps is", lambda meta: meta.update(maps=[])),
    (
        r"files.png. is 1, expected an object",
        lambda meta: meta["maps"]["depth"]["files"].update(png=1),
    ),
    ("missing field .*png.scale", without("scale", *PNG)),
    ("missing field .*png.sha256", without("sha256", *PNG)),
    ("uint8", file(dtype="uint8")),
    ("lists no depth file", depth(files={})),
    ("lists no depth file", lambda meta: meta.update(maps={})),
    ("in its own folder", file(name="../x.png")),
    ("in its own folder", file(name="/etc/passwd")),
    ("in its own folder", file(name="x\0.png")),
    ("cannot read", file(name="..")),
    ("cannot read", file(name="\ud800.png")),
    ("cannot read y.png", file(name="y.png")),
]


def test_keys_of_later_versions_are_let_pass(tmp_path: Path) -> None:
    _, sidecar = write_result(result(ramp()), tmp_path / "x", ["npy"], SOURCE)
    for change in (depth(more=1), file(more=1), lambda meta: meta.update(more=1)):
        with suppress(KeyError):  # of a file that is not there
            edit(sidecar, change)
    assert read_depth(sidecar).depth.values.shape == (5, 7)


@pytest.mark.parametrize(("message", "change"), BAD_FIELDS)
def test_a_wrong_field_in_the_json_is_refused(
    message: str, change: Callable[[dict[str, Any]], object], tmp_path: Path
) -> None:
    _, sidecar = write_result(result(ramp()), tmp_path / "x", ["png"], SOURCE)
    edit(sidecar, change)
    with pytest.raises(DepthFileError, match=message):
        read_depth(sidecar)


@pytest.mark.parametrize("name", ["png", "npy"])
@pytest.mark.parametrize("largest", [-20.0, 0.0, 5.0])
def test_a_range_that_the_values_leave_is_refused(
    name: str, largest: float, tmp_path: Path
) -> None:
    _, sidecar = write_result(result(ramp(), METRES), tmp_path / "x", [name], SOURCE)
    edit(sidecar, depth(largest=9.5))
    assert read_depth(sidecar).depth.largest == 9.5
    edit(sidecar, depth(largest=largest))
    with pytest.raises(DepthFileError, match=f"should be {largest:g}, and it holds 9.5: expected"):
        read_depth(sidecar)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "[" * 100_000, '{"format": NaN}', '{"format": 1e999}', "1" * 5000, "\udc80"],
)
def test_what_is_not_strict_json_is_refused(text: str, tmp_path: Path) -> None:
    sidecar = tmp_path / "x.json"
    sidecar.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DepthFileError, match=r"x\.json: its description is not"):
        read_depth(sidecar)


def test_a_giant_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b" " * (2**20 + 1))
    with pytest.raises(DepthFileError, match="expected at most"):
        read_depth(tmp_path / "x.json")
    with pytest.raises(DepthFileError, match="more than"):
        parse_sidecar(b" " * (2**20 + 1))


@pytest.mark.parametrize("name", ["x.jpg", "x", "gone.png", "gone.json"])
def test_paths_that_lead_nowhere_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DepthFileError, match=name) as caught:
        read_depth(tmp_path / name)
    if name.startswith("gone"):
        assert str(caught.value) == f"{tmp_path / name}: cannot be read: No such file or directory"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value: float, tmp_path: Path) -> None:
    values = ramp()
    values[2, 3] = value
    with pytest.raises(InputError, match="expected finite numbers"):
        write_result(result(values), tmp_path / "x", ["png"], SOURCE)
    path, sidecar = write_result(result(ramp()), tmp_path / "y", ["pfm"], SOURCE)
    data = path.read_bytes()[:-4] + np.float32(value).tobytes()
    path.write_bytes(data)
    edit(
        sidecar,
        lambda meta: meta["maps"]["depth"]["files"]["pfm"].update(
            sha256=hashlib.sha256(data).hexdigest()
        ),
    )
    with pytest.raises(DepthFileError, match="not finite"):
        read_depth(path)
