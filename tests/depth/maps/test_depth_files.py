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

import numpy as np
import pytest

from depth.errors import DepthFileError, InputError
from depth.family import DEPTH, FOCAL_NORMALISED, METRES, RELATIVE_INVERSE
from depth.maps.files import (
    FORMATS,
    encode_map,
    output_names,
    read_depth,
    read_sidecar,
    write_result,
)
from depth.maps.result import Focal, Map, Result
from tests.support.depth_samples import KINDS, MADE_BY, SOURCE, ramp, result, several
from tests.support.places import ROOT
from tests.support.processes import until

SELF_DESCRIBING = ("png", "npz")


def write_all(folder: Path, found: Result, base: str = "x.jpg") -> Path:
    """Every format and the preview; returns the path of the JSON."""
    return write_result(found, folder / base, FORMATS, SOURCE, preview=True)[-1]


def same(again: Result, found: Result, tolerance: float = 0.0) -> bool:
    """Whether all is equal, but for values that may differ by so much."""
    pairs = [(again.maps[name], found.maps[name]) for name in found.maps]
    close = [np.abs(a.values - b.values).max() <= tolerance for a, b in pairs]
    facts = [replace(a, values=b.values) == b for a, b in pairs]
    rest = replace(again, maps=found.maps) == found
    return set(again.maps) == set(found.maps) and rest and all(close) and all(facts)


def test_names_keep_dots_and_come_in_the_order_of_writing(tmp_path: Path) -> None:
    names = ["x.jpg.png", "x.jpg.pfm", "x.jpg.preview.jpg", "x.jpg.json"]
    assert output_names("x.jpg", ["png", "pfm"], preview=True) == names
    written = write_result(result(ramp()), tmp_path / "x.jpg", ["png", "pfm"], SOURCE, True)
    assert written == [tmp_path / name for name in names]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


@pytest.mark.parametrize("formats", [[], ["jpg"], ["png", "png"], ["png", ""]])
def test_formats_there_are_not_are_refused(formats: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected one or more, each once, of png, npy"):
        output_names("x", formats)
    with pytest.raises(InputError):
        write_result(result(ramp()), tmp_path / "new" / "x", formats, SOURCE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FORMATS)
def test_values_and_meaning_come_back(name: str, kind: str, tmp_path: Path) -> None:
    depth = result(ramp(33, 31), kind)
    path, sidecar = write_result(depth, tmp_path / "a" / "b" / "x.jpg", [name], SOURCE)
    entry = read_sidecar(sidecar).maps[DEPTH].files[name]
    for again in (read_depth(path), read_depth(str(sidecar))):
        assert same(again, depth, 0.51 * entry.scale if name == "png" else 0.0)


@pytest.mark.parametrize("name", SELF_DESCRIBING)
def test_some_files_need_no_sidecar(name: str, tmp_path: Path) -> None:
    depth = result(ramp(), METRES)
    path = tmp_path / f"x.{name}"
    path.write_bytes(encode_map(depth, name, SOURCE).data)
    assert same(read_depth(path), depth, tolerance=0.0006)


@pytest.mark.parametrize("name", ["npy", "pfm", "exr", "tiff"])
def test_others_say_which_file_is_missing(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.jpg.{name}"
    path.write_bytes(encode_map(result(ramp()), name, SOURCE).data)
    with pytest.raises(DepthFileError, match=r"sha256 are in x\.jpg\.json, and that is not"):
        read_depth(path)


def test_the_json_says_what_the_numbers_mean(tmp_path: Path) -> None:
    sidecar = write_all(tmp_path, result(ramp()))
    text = sidecar.read_text("utf-8")
    meta = json.loads(text)
    assert list(meta) == ["format", "maps", "preview", "focal", "fit", "provenance", "source"]
    assert (meta["format"], list(meta["maps"]), meta["focal"]) == (2, [DEPTH], None)
    depth = meta["maps"][DEPTH]
    assert list(depth) == [
        *("kind", "unit", "meaning", "height_px", "width_px", "to_image_px", "valid_range"),
        *("largest", "focal_divisor", "files"),
    ]
    assert (depth["kind"], depth["unit"]) == (RELATIVE_INVERSE, None)
    assert depth["meaning"] == "larger is nearer; no unit; comparable only within this image"
    assert (depth["height_px"], depth["width_px"], depth["valid_range"]) == (5, 7, [0.25, 9.5])
    assert (depth["largest"], depth["focal_divisor"], depth["to_image_px"]) == (None, None, None)
    made_by = {**vars(MADE_BY), "steps": list(MADE_BY.steps)}
    assert meta["provenance"] == {**made_by, "trained": True}
    assert meta["source"] == SOURCE
    assert text.endswith("}\n")
    assert "dépôt" in text


def test_every_map_is_listed_and_comes_back(tmp_path: Path) -> None:
    found = several()
    written = write_result(found, tmp_path / "x", ["tiff", "png"], SOURCE, preview=True)
    names = ["x.tiff", "x.png", "x.confidence.tiff", "x.confidence.png", "x.sky.tiff", "x.sky.png"]
    names += ["x.preview.jpg", "x.json"]
    assert [path.name for path in written] == names
    assert output_names("x", ["tiff", "png"], True, ["sky", DEPTH, "confidence"]) == names
    assert same(read_depth(written[-1]), found)
    meta = json.loads(written[-1].read_bytes())
    assert {name: about["kind"] for name, about in meta["maps"].items()} == {
        DEPTH: "metres", "confidence": "confidence", "sky": "sky",
    }  # fmt: skip
    assert meta["focal"] == {"px": 525.5, "source": "fov_deg"}
    assert (meta["maps"]["confidence"]["height_px"], meta["maps"]["sky"]["width_px"]) == (4, 7)
    assert meta["maps"]["sky"]["files"]["png"]["scale"] == pytest.approx(1 / 65535)


def test_a_depth_file_alone_gives_depth_and_another_map_s_file_says_where_to_look(
    tmp_path: Path,
) -> None:
    write_result(several(), tmp_path / "x", ["tiff", "npy", "npz"], SOURCE)
    for name in ("x.tiff", "x.npy", "x.npz"):
        again = read_depth(tmp_path / name)
        assert (list(again.maps), again.focal) == ([DEPTH], Focal(525.5, "fov_deg"))
    with pytest.raises(DepthFileError, match="it holds the map 'sky' alone: read the .json"):
        read_depth(tmp_path / "x.sky.npz")
    with pytest.raises(DepthFileError, match=r"are in x\.sky\.json"):
        read_depth(tmp_path / "x.sky.npy")


def test_a_damaged_file_of_another_map_is_noticed(tmp_path: Path) -> None:
    sidecar = write_result(several(), tmp_path / "x", ["npy"], SOURCE)[-1]
    (tmp_path / "x.sky.npy").write_bytes(b"")
    with pytest.raises(DepthFileError, match=r"x\.sky\.npy has other bytes"):
        read_depth(sidecar)


def test_metres_are_called_metres(tmp_path: Path) -> None:
    meta = json.loads(write_all(tmp_path, result(ramp(), METRES)).read_bytes())
    depth = meta["maps"][DEPTH]
    assert (depth["kind"], depth["unit"], depth["largest"]) == ("metres", "m", 20.0)
    assert depth["meaning"] == "distance along the optical axis in metres"
    assert (depth["files"]["png"]["scale"], depth["files"]["png"]["offset"]) == (0.001, 0.0)


def test_depth_that_waits_for_a_focal_length_says_how_metres_are_made(tmp_path: Path) -> None:
    waiting = Map(ramp(), FOCAL_NORMALISED, focal_divisor=300.0)
    sidecar = write_all(tmp_path, Result({DEPTH: waiting}, MADE_BY))
    depth = json.loads(sidecar.read_bytes())["maps"][DEPTH]
    assert (depth["unit"], depth["focal_divisor"]) == (None, 300.0)
    assert "metres = value * focal length / focal_divisor" in depth["meaning"]
    assert read_depth(sidecar).depth.focal_divisor == 300.0


def test_random_weights_are_called_untrained(tmp_path: Path) -> None:
    made_by = replace(MADE_BY, weights="untrained")
    sidecar = write_all(tmp_path, replace(result(ramp()), provenance=made_by))
    assert json.loads(sidecar.read_bytes())["provenance"]["trained"] is False
    assert read_depth(sidecar).provenance == made_by


def test_every_file_is_listed_with_its_bytes(tmp_path: Path) -> None:
    sidecar = read_sidecar(write_all(tmp_path, result(ramp())))
    files = sidecar.maps[DEPTH].files
    assert list(files) == list(FORMATS)
    assert sidecar.preview is not None
    for entry in (*files.values(), sidecar.preview):
        data = (tmp_path / entry.name).read_bytes()
        assert (entry.size_bytes, entry.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    for name, file in files.items():
        assert file.dtype == ("uint16" if name == "png" else "float32")
        assert ((file.scale, file.offset) == (1.0, 0.0)) == (name != "png")


def test_names_that_are_not_utf8_survive(tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9.jpg")
    sidecar = write_result(result(ramp()), tmp_path / odd, ["npy"], {"path": odd})[-1]
    sidecar.read_bytes().decode("utf-8")
    assert read_sidecar(sidecar).source == {"path": odd}
    np.testing.assert_array_equal(read_depth(sidecar).depth.values, ramp())


def test_the_best_listed_file_is_read(tmp_path: Path) -> None:
    depth = result(ramp(40, 40))
    sidecar = write_result(depth, tmp_path / "x", ["png", "tiff"], SOURCE)[-1]
    np.testing.assert_array_equal(read_depth(sidecar).depth.values, depth.depth.values)


@pytest.mark.parametrize("source", [{"size": np.int64(3)}, {"score": float("nan")}])
def test_a_source_that_json_cannot_hold_is_refused(source: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written as JSON"):
        write_result(result(ramp()), tmp_path / "x", FORMATS, source)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_nothing_of_its_own(tmp_path: Path) -> None:
    far = result(ramp(high=70.0), METRES)
    with pytest.raises(InputError, match="write a float format"):
        write_result(far, tmp_path / "x", ["npy", "png"], SOURCE)
    with pytest.raises(DepthFileError, match="length of the name"):
        write_result(result(ramp()), tmp_path / ("x" * 250), ["npy"], SOURCE, preview=True)
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".npy"] == []
    (tmp_path / "file").write_text("")
    with pytest.raises(DepthFileError, match="cannot write"):
        write_result(result(ramp()), tmp_path / "file" / "x", ["npy"], SOURCE)


def test_a_name_too_long_for_one_file_leaves_the_files_that_were_there(tmp_path: Path) -> None:
    stem = tmp_path / ("x" * 245)
    before = write_result(result(ramp()), stem, ["npy"], SOURCE)
    bytes_before = [path.read_bytes() for path in before]
    with pytest.raises(DepthFileError, match="length of the name"):
        write_result(result(ramp(high=9.0)), stem, ["npy"], SOURCE, preview=True)
    assert [path.read_bytes() for path in before] == bytes_before
    assert len(list(tmp_path.iterdir())) == 2


def test_a_failed_rewrite_takes_the_json_away(tmp_path: Path) -> None:
    """The set is neither the old nor the new one then, and must not look complete."""
    depth = result(ramp())
    write_result(depth, tmp_path / "x", ["npy", "pfm"], SOURCE)
    (tmp_path / "x.pfm").unlink()
    (tmp_path / "x.pfm").mkdir()
    with pytest.raises(DepthFileError, match="cannot write"):
        write_result(depth, tmp_path / "x", ["npy", "pfm"], SOURCE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.npy", "x.pfm"]


def test_a_failed_encoding_keeps_the_earlier_set(tmp_path: Path) -> None:
    depth = result(ramp(), METRES)
    sidecar = write_result(depth, tmp_path / "x", ["npy", "png"], SOURCE)[-1]
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError):
        write_result(result(ramp(high=70.0), METRES), tmp_path / "x", ["npy", "png"], SOURCE)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert same(read_depth(sidecar), depth)


def test_the_same_depth_makes_the_same_files(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_all(tmp_path / folder, result(ramp(), METRES))
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_threads_do_not_disturb_each_other(tmp_path: Path) -> None:
    depths = [result(ramp(50 + n, 70 - n, 0.1, 1.0 + n), KINDS[n % 4]) for n in range(16)]
    with ThreadPoolExecutor(8) as pool:
        sidecars = list(pool.map(lambda n: write_all(tmp_path, depths[n], f"{n}"), range(16)))
        again = list(pool.map(read_depth, sidecars))
    assert all(map(same, again, depths))
    assert not list(tmp_path.glob(".*"))


WRITER = """
import sys
from pathlib import Path
from depth.maps.files import write_result
from tests.support.depth_samples import SOURCE, ramp, result
print("ready", flush=True)
for high in range(1, 10**6):
    depth = result(ramp(300, 400, 0.0, high))
    write_result(depth, Path(sys.argv[1], "x"), ["npy", "png"], SOURCE, preview=True)
"""


def test_killed_at_any_moment_a_json_means_complete(tmp_path: Path) -> None:
    for wait_s in (0.02, 0.05, 0.11):
        folder = tmp_path / str(wait_s)
        command = [sys.executable, "-c", WRITER, str(folder)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            assert until((folder / "x.json").exists)  # a kill before proves nothing
            time.sleep(wait_s)
            writer.send_signal(signal.SIGKILL)
        if (folder / "x.json").exists():
            for entry in read_sidecar(folder / "x.json").maps[DEPTH].files.values():
                data = (folder / entry.name).read_bytes()
                assert hashlib.sha256(data).hexdigest() == entry.sha256
        assert np.load(folder / "x.npy").shape == (300, 400)
