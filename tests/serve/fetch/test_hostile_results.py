"""Results that nobody should trust: keys and .json that lead elsewhere, damaged and false files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable

import pytest

from depth.artifact.program import ProgramKey
from depth.files import sha256_bytes
from depth.maps.consumer import Picture
from serve.fetch.found import find
from serve.jobs.entry import DONE, FAILED
from tests.serve.folder.test_schema import engine_of
from tests.serve.s3.conftest import Pair
from tests.support.fetches import fetch, files_in, job_of
from tests.support.folder_jobs import close_engines
from tests.support.manifests import METRIC_OUTPUTS, made_manifest
from tests.support.object_jobs import MAKING, data, png

METRIC = made_manifest([ProgramKey(56, 56, 1)], outputs=METRIC_OUTPUTS)
OPEN3D = replace(MAKING, formats=("npz",), preset="open3d", preview=True)
both = pytest.mark.parametrize("pair", ["folder", "s3"], indirect=True)
Change = Callable[[dict[str, Any]], object]


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    close_engines()


def keys_of(pair: Pair, image: str) -> list[str]:
    """The keys of the files of an image, the .json last."""
    found = [each.key for each in pair.results.listed("") if f"/{image}." in each.key]
    return sorted(found, key=lambda key: (key.endswith(".json"), ".open3d." not in key, key))


@both
def test_damaged_results_are_named_and_left_out(pair: Pair, tmp_path: Path) -> None:
    for name in ("altered", "gone", "longer", "none", "right", "torn"):
        pair.images.write(f"{name}.png", png(1))
    job_of(pair.source, pair.target, pair.url)
    pair.results.write(keys_of(pair, "altered.png")[0], b"x" * 100)
    pair.results.remove(keys_of(pair, "gone.png")[0])
    longer = keys_of(pair, "longer.png")[0]
    pair.results.write(longer, data(pair.results, longer) + b" ")
    torn = keys_of(pair, "torn.png")[-1]
    pair.results.write(torn, data(pair.results, torn)[:-10])
    pair.results.write(keys_of(pair, "none.png")[-1], b"{" * (1 << 21))
    fetched = fetch(pair.target, tmp_path / "got", pair.url)
    right = fetched.fates.pop("right.png")
    assert (right, set(fetched.fates.values())) == (DONE, {FAILED, DONE})
    assert [image for image, fate in fetched.fates.items() if fate == DONE] == ["right.png"]
    assert fetched.report.exit_code == 3
    assert set(files_in(tmp_path / "got")) == {"right.png", "right.json"}
    for name in ("altered", "gone", "longer"):
        reason = fetched.entries[f"{name}.png"].reason
        assert "is missing in the store, or not whole" in reason
        assert f"{name}.png." in reason


def test_only_damaged_results_are_a_failure(pair: Pair, tmp_path: Path) -> None:
    pair.images.write("a.png", png(1))
    job_of(pair.source, pair.target)
    pair.results.write(keys_of(pair, "a.png")[0], b"x")
    assert fetch(pair.target, tmp_path / "got").report.exit_code == 1
    assert files_in(tmp_path / "got") == {}


@pytest.mark.parametrize("pair", ["s3"], indirect=True)
@pytest.mark.parametrize(
    "image", ["../evil.png", "a/../../evil.png", "/evil.png", "a//evil.png", ".ssh/evil.png"]
)
def test_a_key_that_is_no_path_below_a_folder_is_refused(
    pair: Pair, tmp_path: Path, image: str
) -> None:
    pair.images.write("a.png", png(1))
    folder = job_of(pair.source, pair.target, pair.url)
    for key in keys_of(pair, "a.png"):
        content, rest = data(pair.results, key), key[len(f"{folder}/a.png") :]
        if rest.endswith(".json"):
            content = content.replace(b'"a.png"', json.dumps(image).encode())
            content = content.replace(b'"a.png.', f'"{image.rpartition("/")[2]}.'.encode())
        pair.results.write(f"{folder}/{image}{rest}", content)
    fetched = fetch(pair.target, tmp_path / "deep/got", pair.url)
    assert fetched.fates == {image: FAILED, "a.png": DONE}
    assert "no path of a file below a folder" in fetched.entries[image].reason
    assert set(files_in(tmp_path / "deep")) == {"got/a.png", "got/a.json"}


@pytest.mark.parametrize("pair", ["s3"], indirect=True)
def test_keys_that_describe_no_image_are_no_results(pair: Pair) -> None:
    tag = f"{'0' * 12}-{'0' * 16}"
    names = ["a.txt", "a.png", ".png", "..", "depth-report.jsonl", "_reports/x.png"]
    for name in names:
        for end in (".json", ".open3d.json", f".{'0' * 12}.json", ".JSON", ".json/x"):
            pair.results.write(f"job/{name}.{tag}{end}", b"{}")
    found = find(pair.results, "job/", lambda _: None)
    assert [*found.results] == ["_reports/x.png", "a.png"]
    assert found.refused == []


def listed(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Every file that a .json lists."""
    maps = [file for each in content["maps"].values() for file in each["files"].values()]
    return [*content["preset"]["files"].values(), *maps, content["preview"]]


def other_name(name: str) -> Change:
    def change(content: dict[str, Any]) -> None:
        for file in listed(content):
            file["name"] = name

    return change


def more_maps(name: str) -> Change:
    return lambda content: content["maps"].update({name: content["maps"]["depth"]})


def more_files(name: str) -> Change:
    def change(content: dict[str, Any]) -> None:
        files = content["preset"]["files"]
        files[name] = files["depth"]

    return change


CHANGES: dict[str, Change] = {
    "a name with ..": other_name("../../in/a.png"),
    "an absolute name": other_name("/etc/hostname"),
    "no name": other_name(""),
    "a name with a zero": other_name("a\0.png"),
    "a name that is a folder": other_name("."),
    "a name that is no text": other_name("a\ud800.png"),
    "a map with a path": more_maps("../../depth"),
    "another map": more_maps("sky"),
    "a role with a path": more_files("../../evil"),
    "another role": more_files("rgb"),
    "another format": lambda content: content["maps"]["depth"]["files"].update(
        {"../../png": content["maps"]["depth"]["files"]["npz"]}
    ),
    "no map": lambda content: content["maps"].clear(),
    "no preset": lambda content: content.pop("preset"),
    "no preview": lambda content: content.update(preview=None),
    "another preset": lambda content: content["preset"].update(name="iw3"),
    "a role less": lambda content: content["preset"]["files"].pop("open3d"),
    "another image": lambda content: content["source"].update(path="../b.png"),
    "a negative size": lambda content: listed(content)[0].update(size_bytes=-(10**15)),
    "an enormous size": lambda content: listed(content)[0].update(size_bytes=10**15),
    "another hash": lambda content: listed(content)[0].update(sha256="0" * 64),
    "a later format": lambda content: content.update(format=3),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_false_json_leaves_nothing(
    pair: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    for image in ("a.png", "b.png"):
        pair.images.write(image, png(1))
    with engine_of(METRIC) as engine:
        job_of(pair.source, pair.target, making=OPEN3D, engine=engine)
    key = keys_of(pair, "b.png")[-1]
    content = json.loads(data(pair.results, key))
    CHANGES[name](content)
    pair.results.write(key, json.dumps(content).encode())
    before = files_in(tmp_path / "in")
    fetched = fetch(pair.target, tmp_path / "got")
    assert fetched.fates == {"a.png": DONE, "b.png": FAILED}
    assert caplog.text == "", "every failure has a reason of ours"
    assert {file.partition(".")[0] for file in files_in(tmp_path / "got")} == {"a"}
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out", "got"}
    assert files_in(tmp_path / "in") == before


def test_the_first_json_does_not_decide_for_the_others(pair: Pair, tmp_path: Path) -> None:
    for image in ("a.png", "b.png", "c.png", "d.png"):
        pair.images.write(image, png(1))
    job_of(pair.source, pair.target)
    content = json.loads(data(pair.results, keys_of(pair, "a.png")[-1]))
    more_maps("sky")(content)
    pair.results.write(keys_of(pair, "a.png")[-1], json.dumps(content).encode())
    pair.results.write(keys_of(pair, "b.png")[-1], b" " * (1 << 21))
    fates = {"a.png": FAILED, "b.png": FAILED, "c.png": DONE, "d.png": DONE}
    assert fetch(pair.target, tmp_path / "got").fates == fates


def test_a_json_may_not_list_what_images_share(pair: Pair, tmp_path: Path) -> None:
    pair.images.write("a.png", png(1))
    job_of(pair.source, pair.target, making=replace(MAKING, formats=(), preset="iw3"))
    key = keys_of(pair, "a.png")[-1]
    content, evil = json.loads(data(pair.results, key)), b"!!python/object:os.system\n"
    pair.results.write(f"{key.rpartition('/')[0]}/evil.yml", evil)
    content["preset"]["files"]["config"] = vars(Picture("evil.yml", len(evil), sha256_bytes(evil)))
    pair.results.write(key, json.dumps(content).encode())
    assert fetch(pair.target, tmp_path / "got").fates == {"a.png": FAILED}
    assert files_in(tmp_path / "got") == {}


def test_a_link_does_not_lead_out_of_the_folder(pair: Pair, tmp_path: Path) -> None:
    for image in ("a/x.png", "b/x.png", "c.png"):
        pair.images.write(image, png(1))
    job_of(pair.source, pair.target, making=replace(MAKING, formats=(), preset="iw3"))
    outside, out = tmp_path / "outside", tmp_path / "got"
    outside.mkdir()
    (out / "b").mkdir(parents=True)
    (out / "a").symlink_to(outside)
    (out / "b/rgb").symlink_to(outside)
    fetched = fetch(pair.target, out)
    assert fetched.fates == {"a/x.png": FAILED, "b/x.png": FAILED, "c.png": DONE}
    assert "a link leads out of" in fetched.entries["b/x.png"].reason
    assert list(outside.iterdir()) == []


def test_a_link_in_place_of_a_file_is_replaced_and_not_followed(pair: Pair, tmp_path: Path) -> None:
    pair.images.write("a.png", png(1))
    job_of(pair.source, pair.target)
    out, target = tmp_path / "got", tmp_path / "target"
    assert fetch(pair.target, out).fates == {"a.png": DONE}
    whole = (out / "a.png").read_bytes()
    (out / "a.png").unlink()
    (out / "a.png").symlink_to(target)
    target.write_bytes(b"mine")
    assert fetch(pair.target, out).fates == {"a.png": DONE}
    assert (target.read_bytes(), (out / "a.png").read_bytes()) == (b"mine", whole)
    assert not (out / "a.png").is_symlink()


def test_images_that_are_folders_of_others_fail_by_name(pair: Pair, tmp_path: Path) -> None:
    """The .json of a.png and the folder a.json cannot both be there."""
    for image in ("a.json/b.png", "a.png"):
        pair.images.write(image, png(1))
    job_of(pair.source, pair.target)
    fetched = fetch(pair.target, tmp_path / "got")
    assert sorted(fetched.fates.values()) == [DONE, FAILED]
    assert fetched.report.exit_code == 3
