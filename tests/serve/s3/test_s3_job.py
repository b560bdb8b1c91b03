"""The S3 job with a stand-in of the network, on a server on loopback and in folders."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from depth.errors import InputError
from depth.files import sha256_bytes
from depth.maps.files import read_depth
from serve.errors import NoImagesError
from serve.jobs.entry import DONE, FAILED, KEPT, TODO
from serve.jobs.objects.making import Making
from serve.jobs.objects.run import RunAsked
from serve.jobs.objects.shard import Shard
from serve.jobs.stop import Stop
from tests.serve.s3.conftest import Pair
from tests.support.folder_jobs import make_engine
from tests.support.object_jobs import MAKING, Ran, data, left, logged, png, put_images, run

both = pytest.mark.parametrize("pair", ["folder", "s3"], indirect=True)
on_s3 = pytest.mark.parametrize("pair", ["s3"], indirect=True)


def do(pair: Pair, **options: object) -> Ran:
    return run(pair.source, pair.target, pair.url, **options)  # type: ignore[arg-type]


@both
def test_every_image_gets_a_result_that_says_what_it_is(pair: Pair, tmp_path: Path) -> None:
    keys = put_images(pair.images, 5)
    pair.images.write("notes.txt", b"no image")
    pair.images.write("0/.hidden.png", png(9))
    ran = do(pair)
    assert (ran.report.exit_code, ran.fates) == (0, dict.fromkeys(keys, DONE))
    assert ran.report.left_out == {".txt": 1}
    there = left(pair.results)
    assert set(there.images) == set(keys)
    assert (there.wrong, there.orphans, there.probes) == ([], [], [])
    entry = ran.entries["0/0000.png"]
    *_, beside = entry.outputs
    for key in entry.outputs:
        (tmp_path / key.rpartition("/")[2]).write_bytes(data(pair.results, key))
    assert read_depth(tmp_path / beside.rpartition("/")[2]).depth.values.shape == (20, 30)
    assert entry.sha256 == sha256_bytes(png(0))
    assert entry.sha256[:16] in beside
    folder = beside.split("/")[0]
    settings = json.loads(data(pair.results, f"{folder}/settings.json"))
    assert (settings["artifacts"], settings["formats"]) == (["0" * 64], ["png"])


@both
def test_a_rerun_finds_results_by_a_listing_and_downloads_nothing(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = put_images(pair.images, 4)
    do(pair)
    monkeypatch.setattr("serve.jobs.objects.work.ImageWork.__call__", None)
    again = do(pair)
    assert (again.report.exit_code, again.fates) == (0, dict.fromkeys(keys, KEPT))
    assert list(again.entries["0/0000.png"].outputs)[0].endswith(".png")


def test_the_log_says_what_became_of_each_image(pair: Pair) -> None:
    put_images(pair.images, 2)
    pair.images.write("torn.png", png(3)[:60])
    ran = do(pair)
    assert ran.report.exit_code == 3
    *lines, last = logged(pair.results)
    assert {str(line["image"]): line["status"] for line in lines} == ran.fates
    assert "torn.png" in str(ran.entries["torn.png"].reason)
    assert last == {"counts": {"done": 2, "failed": 1}, "left": 0, "end": ""}
    do(pair)
    assert sum("image" in line for line in logged(pair.results)) == 4, "only the failure again"


def test_other_settings_and_other_artifacts_have_their_own_folder(pair: Pair) -> None:
    put_images(pair.images, 1)
    for options in (
        {},
        {"making": replace(MAKING, formats=("npy", "png"))},
        {"making": replace(MAKING, output_size="model")},
        {"making": replace(MAKING, preview=True)},
        {"engine": make_engine(identity="1" * 64)},
    ):
        assert do(pair, **options).fates == {"0/0000.png": DONE}
    there = left(pair.results)
    assert len({key.split("/")[0] for key in there.images["0/0000.png"]}) == 5
    assert there.wrong == []
    assert all(".preview.jpg" in key for key in there.orphans), "listed, but as no map"


def test_an_image_that_changed_gets_a_further_result(pair: Pair) -> None:
    put_images(pair.images, 2)
    do(pair)
    pair.images.write("0/0000.png", png(7))
    ran = do(pair)
    assert ran.fates == {"0/0000.png": DONE, "1/0001.png": KEPT}
    assert len(left(pair.results).images["0/0000.png"]) == 2


def test_the_same_bytes_under_another_etag_need_no_network(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_images(pair.images, 1)
    do(pair)
    monkeypatch.setattr("serve.jobs.objects.listing.tag_of", lambda _: "0" * 12)
    engine = make_engine(fails_from=0)
    assert do(pair, engine=engine).fates == {"0/0000.png": KEPT}


def test_shards_share_the_images_and_leave_none_out(pair: Pair) -> None:
    keys = put_images(pair.images, 12)
    shares = [do(pair, asked=RunAsked(Shard(index, 3))).fates for index in range(3)]
    assert sorted(key for share in shares for key in share) == sorted(keys)
    assert all(shares)
    assert do(pair).fates == dict.fromkeys(keys, KEPT)


@pytest.mark.parametrize("text", ["4/4", "0/0", "1", "-1/4", "a/b", "0/10001", "٠/٤", ""])
def test_a_shard_that_there_is_not_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected i/n"):
        Shard.parse(text)


def test_a_shard_without_images_is_done_and_an_empty_prefix_is_not(pair: Pair) -> None:
    with pytest.raises(NoImagesError, match="no images in it"):
        do(pair)
    assert do(pair, asked=RunAsked(Shard(0, 2))).report.exit_code == 0
    assert list(pair.results.listed("")) == []


def test_a_dry_run_writes_nothing(pair: Pair) -> None:
    put_images(pair.images, 2)
    ran = do(pair, asked=RunAsked(dry_run=True))
    assert set(ran.fates.values()) == {TODO}
    assert ran.entries["0/0000.png"].reason == "no result yet"
    assert list(pair.results.listed("")) == []


@both
def test_results_below_the_images_are_no_images(pair: Pair) -> None:
    keys = put_images(pair.images, 2)
    target = f"{pair.source}/depth"
    for fate in (DONE, KEPT):
        ran = run(pair.source, target, pair.url)
        assert ran.fates == dict.fromkeys(keys, fate)
    with pytest.raises(InputError, match="same place"):
        run(pair.source, pair.source + "/", pair.url)


def test_a_stop_leaves_the_rest_to_the_next_run(pair: Pair) -> None:
    keys = put_images(pair.images, 40)
    stop = Stop()
    ran = do(pair, stop=stop, on_entry=lambda *_: stop.request("SIGTERM"))
    assert 0 < len(ran.entries) < 40
    assert (ran.report.exit_code, ran.report.stopped) == (3, "SIGTERM")
    assert ran.report.left > 0
    assert logged(pair.results)[-1]["end"] == "SIGTERM"
    assert set(do(pair).fates) == set(keys)
    assert left(pair.results).orphans == []


def test_fail_fast_stops_at_the_first_failure(pair: Pair) -> None:
    put_images(pair.images, 40)
    ran = do(pair, engine=make_engine(fails_from=1), asked=RunAsked(fail_fast=True))
    assert ran.report.stopped == "a failure"
    assert len(ran.entries) < 40
    assert set(ran.fates.values()) == {FAILED}


@both
def test_verifying_makes_a_damaged_result_again(pair: Pair) -> None:
    put_images(pair.images, 2)
    outputs = list(do(pair).entries["0/0000.png"].outputs)
    pair.results.write(outputs[0], b"altered")
    assert set(do(pair).fates.values()) == {KEPT}
    ran = do(pair, asked=RunAsked(verify=True))
    assert ran.fates == {"0/0000.png": DONE, "1/0001.png": KEPT}
    there = left(pair.results)
    assert (there.wrong, there.orphans) == ([], [outputs[0]])
    assert set(do(pair, asked=RunAsked(verify=True)).fates.values()) == {KEPT}


def test_a_file_that_was_removed_is_made_again(pair: Pair) -> None:
    put_images(pair.images, 1)
    first = do(pair).entries["0/0000.png"].outputs
    pair.results.remove(next(iter(first)))
    again = do(pair).entries["0/0000.png"]
    assert (again.status, dict(again.outputs)) == (DONE, dict(first))
    assert left(pair.results).wrong == []


@on_s3
@pytest.mark.parametrize("key", ["a//b.png", "a/../b.png", "./b.png"])
def test_a_key_that_is_no_path_fails_by_name(pair: Pair, key: str) -> None:
    put_images(pair.images, 1)
    pair.images.client.put_object(  # type: ignore[attr-defined]
        Bucket="artifacts", Key=f"{pair.source.partition('artifacts/')[2]}/{key}", Body=png(1)
    )
    ran = do(pair)
    assert ran.report.counts == {DONE: 1, FAILED: 1}
    assert "empty part" in ran.entries[key].reason


def test_making_names_its_folder_by_everything_that_counts() -> None:
    library = make_engine().library
    makings = [
        Making(("a",)),
        Making(("a",), formats=("npy",)),
        Making(("a",), preview=True),
        Making(("a",), policy="exact"),
        Making(("a",), preprocess="fast"),
        Making(("a",), output_size="model"),
        Making(("a",), focal_px=500.0),
        Making(("a",), fov_deg=60.0),
    ]
    assert len({making.made(library).folder for making in makings}) == len(makings)
    assert Making(("b",), kept_in=Path("c")).made(library).folder == makings[0].made(library).folder


def test_measured_depth_makes_another_folder_and_names_its_images(
    pair: Pair, tmp_path: Path
) -> None:
    put_images(pair.images, 2)
    plain = do(pair)
    key = next(iter(plain.entries["1/0001.png"].outputs))
    for name in plain.entries["1/0001.png"].outputs:
        (tmp_path / name.rpartition("/")[2]).write_bytes(data(pair.results, name))
    values = read_depth(tmp_path / key.rpartition("/")[2]).depth.values
    rng = np.random.default_rng(0)
    rows = ["x_px,y_px,depth_m,image"]
    for _ in range(50):
        y, x = (int(rng.integers(0, side)) for side in values.shape)
        rows.append(f"{x},{y},{1 / (0.1 * float(values[y, x]) + 0.2)!r},1/0001.png")
    points = tmp_path / "points.csv"
    points.write_text("\n".join(rows))
    ran = do(pair, making=replace(MAKING, fit=str(points)))
    assert ran.fates == {"0/0000.png": FAILED, "1/0001.png": DONE}
    assert "no entry for 0/0000.png" in ran.entries["0/0000.png"].reason
    fit = ran.entries["1/0001.png"].fit
    assert fit is not None
    assert fit.scale == pytest.approx(0.1, rel=0.01)
    *_, beside = ran.entries["1/0001.png"].outputs
    assert json.loads(data(pair.results, beside))["maps"]["depth"]["kind"] == "metres"
    settings = json.loads(data(pair.results, f"{beside.split('/')[0]}/settings.json"))
    assert settings["fit"]["by"] == "auto"
    assert beside.split("/")[0] != key.split("/")[0]
    points.write_text("x_px,y_px,depth_m\n1,2,3\n")
    with pytest.raises(InputError, match="names no image"):
        do(pair, making=replace(MAKING, fit=str(points)))
