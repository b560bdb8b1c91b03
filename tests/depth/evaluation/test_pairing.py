"""Predictions find their true depth in folders that are laid out as data sets are."""

from __future__ import annotations

from pathlib import Path

import pytest

from depth.errors import InputError
from depth.evaluation.pairing import Pairs, paired, predictions_in, truths_in

DRIVE = "2011_09_26/2011_09_26_drive_0002_sync"


def pairs_of(folder: Path, predictions: list[str], truths: list[str]) -> Pairs:
    for side, names in (("p", predictions), ("t", truths)):
        for name in names:
            path = folder / side / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return paired(predictions_in(folder / "p"), truths_in(folder / "t"))


def named(found: Pairs) -> list[tuple[str, str]]:
    return [(a.base, b.base) for a, b in found.pairs]


LAYOUTS = {
    "path": (["a/1.json", "b/1.json"], ["a/1.png", "b/1.png"]),
    "kitti": (
        [f"{DRIVE}/image_02/data/0000000005.json", f"{DRIVE}/image_02/data/0000000006.json"],
        [f"{DRIVE.split('/')[1]}/proj_depth/groundtruth/image_02/000000000{n}.png" for n in (5, 6)],
    ),
    "words": (
        ["kitchen/rgb_00001.json", "office/rgb_00001.json"],
        ["kitchen/sync_depth_00001.png", "office/sync_depth_00001.png"],
    ),
    "name": (["0001_colors.json", "0002_colors.json"], ["test/0001_depth.png", "0002_depth.png"]),
}


@pytest.mark.parametrize("rule", LAYOUTS)
def test_the_rule_of_a_layout_is_found(rule: str, tmp_path: Path) -> None:
    found = pairs_of(tmp_path, *LAYOUTS[rule])
    assert found.rule == rule
    assert len(found.pairs) == 2
    assert all(a[-1] == b[-1] or a[:4] == b[-10:-6] or rule == "name" for a, b in named(found))
    assert (found.no_truth, found.no_prediction) == ([], [])


def test_kittis_selection_of_depth_is_paired(tmp_path: Path) -> None:
    stem = "2011_09_26_drive_0002_sync_{}_0000000005_image_02"
    found = pairs_of(
        tmp_path,
        [f"{stem.format('image')}.json", f"{stem.format('image').replace('_02', '_03')}.json"],
        [f"{stem.format('groundtruth_depth')}.png"],
    )
    assert [a.path.name for a, _ in found.pairs] == [f"{stem.format('image')}.json"]
    assert len(found.no_truth) == 1


def test_what_has_no_partner_is_named(tmp_path: Path) -> None:
    found = pairs_of(tmp_path, ["a.json", "b.json"], ["b.png", "c.npy"])
    assert named(found) == [("b", "b")]
    assert [file.base for file in found.no_truth] == ["a"]
    assert [file.base for file in found.no_prediction] == ["c"]


def test_a_result_counts_once_and_other_maps_and_previews_never(tmp_path: Path) -> None:
    files = ["a.json", "a.png", "a.sky.png", "a.preview.jpg", "b.jpg.json", "b.jpg.npy", "c.npy"]
    for name in [*files, ".hidden.json", "index.html", "depth-report.jsonl"]:
        (tmp_path / name).touch()
    found = predictions_in(tmp_path)
    assert [(file.path.name, file.base) for file in found] == [
        ("a.json", "a"),
        ("b.jpg.json", "b"),
        ("c.npy", "c"),
    ]


def test_a_name_that_stands_for_two_files_is_no_pair(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"x/1\.json and .*y/1\.json would both go with .*1\.png"):
        pairs_of(tmp_path / "a", ["x/1.json", "y/1.json"], ["1.png"])
    with pytest.raises(InputError, match=r"1\.npy and .*1\.pfm would both go with .*1\.json"):
        pairs_of(tmp_path / "b", ["1.json"], ["1.npy", "1.pfm"])


def test_folders_without_pairs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no prediction has true depth: the names of a and b"):
        pairs_of(tmp_path, ["a.json"], ["b.png"])
    with pytest.raises(InputError, match="not a folder"):
        predictions_in(tmp_path / "missing")
