"""Sets of depth files: complete or absent, described, and readable again."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from depth.errors import DepthFileError, InputError
from depth.family import METRIC, RELATIVE
from depth.maps.depth_map import DepthMap
from depth.maps.files import (
    FORMATS,
    encode_depth,
    output_names,
    read_depth,
    read_sidecar,
    write_depth,
)
from tests.depth_samples import KINDS, MADE_BY, SOURCE, depth_map, ramp

ROOT = Path(__file__).parents[1]
SELF_DESCRIBING = ("png", "npz", "exr", "tiff")


def write_all(folder: Path, depth: DepthMap, base: str = "x.jpg") -> Path:
    """Every format and the preview; returns the path of the JSON."""
    return write_depth(depth, folder / base, FORMATS, SOURCE, preview=True)[-1]


def same(again: DepthMap, depth: DepthMap, tolerance: float = 0.0) -> bool:
    close = np.abs(again.values - depth.values).max() <= tolerance
    return bool(close) and replace(again, values=depth.values) == depth


def test_names_keep_dots_and_come_in_the_order_of_writing(tmp_path: Path) -> None:
    names = ["x.jpg.png", "x.jpg.pfm", "x.jpg.preview.png", "x.jpg.json"]
    assert output_names("x.jpg", ["png", "pfm"], preview=True) == names
    written = write_depth(depth_map(ramp()), tmp_path / "x.jpg", ["png", "pfm"], SOURCE, True)
    assert written == [tmp_path / name for name in names]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


@pytest.mark.parametrize("formats", [[], ["jpg"], ["png", "png"], ["png", ""]])
def test_formats_there_are_not_are_refused(formats: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected one or more, each once, of png, npy"):
        output_names("x", formats)
    with pytest.raises(InputError):
        write_depth(depth_map(ramp()), tmp_path / "new" / "x", formats, SOURCE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FORMATS)
def test_values_and_meaning_come_back(name: str, kind: str, tmp_path: Path) -> None:
    depth = depth_map(ramp(33, 31), kind)
    path, sidecar = write_depth(depth, tmp_path / "a" / "b" / "x.jpg", [name], SOURCE)
    entry = read_sidecar(sidecar)["files"][name]
    tolerance = 0.51 * entry["scale"] if name == "png" else 0.0
    assert same(read_depth(path), depth, tolerance)
    assert same(read_depth(str(sidecar)), depth, tolerance)


@pytest.mark.parametrize("name", SELF_DESCRIBING)
def test_some_files_need_no_sidecar(name: str, tmp_path: Path) -> None:
    depth = depth_map(ramp(), METRIC)
    path = tmp_path / f"x.{name}"
    path.write_bytes(encode_depth(depth, name, SOURCE))
    assert same(read_depth(path), depth, tolerance=0.0006)


@pytest.mark.parametrize("name", ["npy", "pfm"])
def test_others_say_which_file_is_missing(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.jpg.{name}"
    path.write_bytes(encode_depth(depth_map(ramp()), name, SOURCE))
    with pytest.raises(DepthFileError, match=r"meaning, which is in x\.jpg\.json, and that is not"):
        read_depth(path)


def test_the_json_says_what_the_numbers_mean(tmp_path: Path) -> None:
    sidecar = write_all(tmp_path, depth_map(ramp()))
    text = sidecar.read_text("utf-8")
    meta = json.loads(text)
    assert list(meta) == [
        *("format", "kind", "unit", "meaning", "height_px", "width_px", "valid_range"),
        *("max_depth_m", "files", "provenance", "source"),
    ]
    assert (meta["format"], meta["kind"], meta["unit"]) == (1, RELATIVE, None)
    assert meta["meaning"] == "larger is nearer; no unit; comparable only within this image"
    assert (meta["height_px"], meta["width_px"], meta["valid_range"]) == (5, 7, [0.25, 9.5])
    assert meta["max_depth_m"] is None
    assert meta["provenance"] == {**vars(MADE_BY), "trained": True}
    assert meta["source"] == SOURCE
    assert text.endswith("}\n")
    assert "dépôt" in text


def test_metres_are_called_metres(tmp_path: Path) -> None:
    meta = json.loads(write_all(tmp_path, depth_map(ramp(), METRIC)).read_bytes())
    assert (meta["kind"], meta["unit"], meta["max_depth_m"]) == ("metric", "m", 20.0)
    assert meta["meaning"] == "distance along the optical axis in metres"
    assert (meta["files"]["png"]["scale"], meta["files"]["png"]["offset"]) == (0.001, 0.0)


def test_random_weights_are_called_untrained(tmp_path: Path) -> None:
    made_by = replace(MADE_BY, weights="untrained")
    sidecar = write_all(tmp_path, replace(depth_map(ramp()), provenance=made_by))
    assert read_sidecar(sidecar)["provenance"]["trained"] is False
    assert read_depth(sidecar).provenance == made_by


def test_every_file_is_listed_with_its_bytes(tmp_path: Path) -> None:
    entries = read_sidecar(write_all(tmp_path, depth_map(ramp())))["files"]
    assert list(entries) == [*FORMATS, "preview"]
    for name, entry in entries.items():
        data = (tmp_path / entry["name"]).read_bytes()
        assert (entry["bytes"], entry["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
        expected = {"png": "uint16", "preview": "uint8"}.get(name, "float32")
        assert entry["dtype"] == expected
        assert ("scale" in entry) == (name == "png")
    assert cv2.imread(str(tmp_path / "x.jpg.preview.png")).shape == (5, 7, 3)


def test_names_that_are_not_utf8_survive(tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9.jpg")
    sidecar = write_depth(depth_map(ramp()), tmp_path / odd, ["npy"], {"path": odd})[-1]
    sidecar.read_bytes().decode("utf-8")
    assert read_sidecar(sidecar)["source"] == {"path": odd}
    np.testing.assert_array_equal(read_depth(sidecar).values, ramp())


def test_the_best_listed_file_is_read(tmp_path: Path) -> None:
    depth = depth_map(ramp(40, 40))
    sidecar = write_depth(depth, tmp_path / "x", ["png", "tiff"], SOURCE)[-1]
    np.testing.assert_array_equal(read_depth(sidecar).values, depth.values)


@pytest.mark.parametrize("source", [{"size": np.int64(3)}, {"score": float("nan")}])
def test_a_source_that_json_cannot_hold_is_refused(source: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written as JSON"):
        write_depth(depth_map(ramp()), tmp_path / "x", FORMATS, source)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_nothing_of_its_own(tmp_path: Path) -> None:
    far = depth_map(ramp(high=70.0), METRIC)
    with pytest.raises(InputError, match="write a float format"):
        write_depth(far, tmp_path / "x", ["npy", "png"], SOURCE)
    with pytest.raises(DepthFileError, match="length of the name"):
        write_depth(depth_map(ramp()), tmp_path / ("x" * 250), ["npy"], SOURCE, preview=True)
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".npy"] == []
    (tmp_path / "file").write_text("")
    with pytest.raises(DepthFileError, match="cannot write"):
        write_depth(depth_map(ramp()), tmp_path / "file" / "x", ["npy"], SOURCE)


def test_a_name_too_long_for_one_file_leaves_the_files_that_were_there(tmp_path: Path) -> None:
    stem = tmp_path / ("x" * 245)
    before = write_depth(depth_map(ramp()), stem, ["npy"], SOURCE)
    bytes_before = [path.read_bytes() for path in before]
    with pytest.raises(DepthFileError, match="length of the name"):
        write_depth(depth_map(ramp(high=9.0)), stem, ["npy"], SOURCE, preview=True)
    assert [path.read_bytes() for path in before] == bytes_before
    assert len(list(tmp_path.iterdir())) == 2


def test_a_failed_rewrite_takes_the_json_away(tmp_path: Path) -> None:
    """The set is neither the old nor the new one then, and must not look complete."""
    depth = depth_map(ramp())
    write_depth(depth, tmp_path / "x", ["npy", "pfm"], SOURCE)
    (tmp_path / "x.pfm").unlink()
    (tmp_path / "x.pfm").mkdir()
    with pytest.raises(DepthFileError, match="cannot write"):
        write_depth(depth, tmp_path / "x", ["npy", "pfm"], SOURCE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.npy", "x.pfm"]


def test_a_failed_encoding_keeps_the_earlier_set(tmp_path: Path) -> None:
    depth = depth_map(ramp(), METRIC)
    sidecar = write_depth(depth, tmp_path / "x", ["npy", "png"], SOURCE)[-1]
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError):
        write_depth(depth_map(ramp(high=70.0), METRIC), tmp_path / "x", ["npy", "png"], SOURCE)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert same(read_depth(sidecar), depth)


def test_the_same_depth_makes_the_same_files(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_all(tmp_path / folder, depth_map(ramp(), METRIC))
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_threads_do_not_disturb_each_other(tmp_path: Path) -> None:
    depths = [depth_map(ramp(50 + n, 70 - n, 0.1, 1.0 + n), KINDS[n % 2]) for n in range(16)]
    with ThreadPoolExecutor(8) as pool:
        sidecars = list(pool.map(lambda n: write_all(tmp_path, depths[n], f"{n}"), range(16)))
        again = list(pool.map(read_depth, sidecars))
    assert all(same(*pair) for pair in zip(again, depths))
    assert not list(tmp_path.glob(".*"))


WRITER = """
import sys
from pathlib import Path
from depth.maps.files import write_depth
from tests.depth_samples import SOURCE, depth_map, ramp
print("ready", flush=True)
for high in range(1, 10**6):
    depth = depth_map(ramp(300, 400, 0.0, high))
    write_depth(depth, Path(sys.argv[1], "x"), ["npy", "png"], SOURCE, preview=True)
"""


def test_killed_at_any_moment_a_json_means_complete(tmp_path: Path) -> None:
    for wait_s in (0.02, 0.05, 0.11):
        command = [sys.executable, "-c", WRITER, str(tmp_path)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(wait_s)
            writer.send_signal(signal.SIGKILL)
        if (tmp_path / "x.json").exists():
            for entry in read_sidecar(tmp_path / "x.json")["files"].values():
                data = (tmp_path / entry["name"]).read_bytes()
                assert hashlib.sha256(data).hexdigest() == entry["sha256"]
        for path in tmp_path.glob("x.np*"):
            assert np.load(path).shape == (300, 400)
