"""Reading refuses altered files, wrong descriptions and damaged JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from depth.errors import DepthFileError, InputError
from depth.maps.files import FORMATS, encode_depth, read_depth, write_depth
from depth.maps.meta import parse
from tests.depth_samples import SOURCE, depth_map, ramp


def edit(sidecar: Path, change: Callable[[dict[str, Any]], object]) -> None:
    meta = json.loads(sidecar.read_text("utf-8"))
    change(meta)
    sidecar.write_text(json.dumps(meta), "utf-8")


def test_a_preview_is_not_depth(tmp_path: Path) -> None:
    write_depth(depth_map(ramp()), tmp_path / "x.jpg", ["png"], SOURCE, preview=True)
    with pytest.raises(DepthFileError, match=r"x\.jpg\.preview\.png: .*previews .* hold no depth"):
        read_depth(tmp_path / "x.jpg.preview.png")


@pytest.mark.parametrize("name", FORMATS)
def test_an_altered_file_is_noticed_through_its_json(name: str, tmp_path: Path) -> None:
    depth = depth_map(ramp())
    path, sidecar = write_depth(depth, tmp_path / "x", [name], SOURCE)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DepthFileError, match="has other bytes than its .json says"):
        read_depth(sidecar)


@pytest.mark.parametrize("name", ["npy", "pfm"])
def test_an_altered_file_is_noticed_beside_its_json(name: str, tmp_path: Path) -> None:
    path, _ = write_depth(depth_map(ramp()), tmp_path / "x", [name], SOURCE)
    path.write_bytes(encode_depth(depth_map(ramp() + 1), name, SOURCE))
    with pytest.raises(DepthFileError, match="has other bytes"):
        read_depth(path)


def test_a_picture_saved_anew_without_its_text_is_noticed(tmp_path: Path) -> None:
    path, _ = write_depth(depth_map(ramp()), tmp_path / "x", ["png"], SOURCE)
    cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
    with pytest.raises(DepthFileError, match="has other bytes"):
        read_depth(path)


@pytest.mark.parametrize("name", FORMATS)
def test_a_json_of_another_size_is_noticed(name: str, tmp_path: Path) -> None:
    _, sidecar = write_depth(depth_map(ramp(6, 8)), tmp_path / "x", [name], SOURCE)
    edit(sidecar, lambda meta: meta.update(width_px=9))
    with pytest.raises(DepthFileError, match="they do not belong together"):
        read_depth(sidecar)


BAD_FIELDS: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
    ("has format 2, this version reads 1", lambda meta: meta.update(format=2)),
    ("no usable 'kind'", lambda meta: meta.pop("kind")),
    ("no usable 'width_px'", lambda meta: meta.update(width_px="7")),
    ("no usable 'height_px'", lambda meta: meta.update(height_px=True)),
    ("it declares 100000 x", lambda meta: meta.update(width_px=100_000, height_px=100_000)),
    ("it declares 0 x", lambda meta: meta.update(width_px=0)),
    ("kind 'inverse'", lambda meta: meta.update(kind="inverse")),
    ("max_depth_m belongs", lambda meta: meta.update(max_depth_m=20)),
    ("no usable 'weights'", lambda meta: meta["provenance"].pop("weights")),
    ("no usable 'model_width_px'", lambda meta: meta["provenance"].update(model_width_px="1")),
    ("no usable 'files'", lambda meta: meta.update(files=[])),
    ("'png' is not an object", lambda meta: meta["files"].update(png=1)),
    ("no usable 'scale'", lambda meta: meta["files"]["png"].pop("scale")),
    ("no usable 'sha256'", lambda meta: meta["files"]["png"].pop("sha256")),
    ("uint8", lambda meta: meta["files"]["png"].update(dtype="uint8")),
    ("lists no depth file", lambda meta: meta.update(files={})),
    ("in its own folder", lambda meta: meta["files"]["png"].update(name="../x.png")),
    ("in its own folder", lambda meta: meta["files"]["png"].update(name="/etc/passwd")),
    ("in its own folder", lambda meta: meta["files"]["png"].update(name="x\0.png")),
    ("cannot read", lambda meta: meta["files"]["png"].update(name="..")),
    ("cannot read", lambda meta: meta["files"]["png"].update(name="\ud800.png")),
    ("cannot read y.png", lambda meta: meta["files"]["png"].update(name="y.png")),
]


@pytest.mark.parametrize(("message", "change"), BAD_FIELDS)
def test_a_wrong_field_in_the_json_is_refused(
    message: str, change: Callable[[dict[str, Any]], object], tmp_path: Path
) -> None:
    _, sidecar = write_depth(depth_map(ramp()), tmp_path / "x", ["png"], SOURCE)
    edit(sidecar, change)
    with pytest.raises(DepthFileError, match=message):
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
        parse(" " * (2**20 + 1), "files")


@pytest.mark.parametrize("name", ["x.jpg", "x", "gone.png", "gone.json"])
def test_paths_that_lead_nowhere_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DepthFileError, match=name):
        read_depth(tmp_path / name)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value: float, tmp_path: Path) -> None:
    values = ramp()
    values[2, 3] = value
    with pytest.raises(InputError, match="expected finite numbers"):
        write_depth(depth_map(values), tmp_path / "x", ["png"], SOURCE)
    path, sidecar = write_depth(depth_map(ramp()), tmp_path / "y", ["pfm"], SOURCE)
    data = path.read_bytes()[:-4] + np.float32(value).tobytes()
    path.write_bytes(data)
    edit(sidecar, lambda meta: meta["files"]["pfm"].update(sha256=hashlib.sha256(data).hexdigest()))
    with pytest.raises(DepthFileError, match="not finite"):
        read_depth(path)
