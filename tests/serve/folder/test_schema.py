"""The JSON Schemas: what folder jobs and the pipeline write fits them, and nothing else does."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from depth.artifact.manifest import Manifest
from depth.artifact.program import ProgramKey
from depth.artifact.steps import MetresFromFocal
from depth.maps.formats import CODECS
from depth.maps.result import FloatArray
from depth.maps.schema import SCHEMAS, schema_named
from depth.steps.focal import NOTHING_ASKED, FocalAsked
from serve.arrays import Arrays
from serve.backend import Backend, ProgramWorker
from serve.engine import Engine
from serve.folder import manifest as log
from serve.folder.job import run_folder
from serve.folder.request import FolderJob
from serve.jobs.entry import DONE, FAILED, KEPT
from serve.library import Library
from serve.pipeline import DepthPipeline
from serve.shapes import BUCKETS
from tests.support.hostile import encoded, picture
from tests.support.manifests import (
    METRIC_OUTPUTS,
    RELATIVE_OUTPUTS,
    OutputFacts,
    made_artifact,
    made_manifest,
    sky_manifest,
)

KEY = ProgramKey(56, 56, 1)
CONFIDENT = (
    OutputFacts("depth", "relative_depth", None, "BHW", None, None),
    OutputFacts("confidence", "confidence", None, "BHW", None, None),
)
FORMATS = tuple(CODECS)
ALONE = [name for name, codec in CODECS.items() if codec.reads_alone]

OPEN = ("map", "source", "report")  # others refer to it, it is the caller's own, it has no keys


def closed(name: str) -> Draft202012Validator:
    """The schema without room for further keys, so that nothing is written that it does not say."""
    schema = schema_named(name)
    for key, definition in schema["$defs"].items():
        if "properties" in definition and key not in OPEN:
            definition["unevaluatedProperties"] = False
    return Draft202012Validator(schema)


class Levels:
    """Stands in for a program; gives all maps of a manifest."""

    def __init__(self, manifest: Manifest) -> None:
        self.names = [output.name for output in manifest.outputs]

    def run(self, arrays: Arrays) -> dict[str, FloatArray]:
        levels = abs(arrays["images"]).sum(axis=1)
        return {name: 1 + levels / levels.max() for name in self.names}


def engine_of(manifest: Manifest, focal: FocalAsked = NOTHING_ASKED) -> Engine:
    worker = ProgramWorker(lambda _program: Levels(manifest))
    backend = Backend([worker], None, images_at_once=2, shared=True)
    library = Library([made_artifact(manifest)])
    return Engine(library, BUCKETS, focal=focal, backend=lambda *_: backend)


JOBS: dict[str, tuple[Manifest, FocalAsked, set[str]]] = {
    "relative inverse": (
        made_manifest([KEY], outputs=RELATIVE_OUTPUTS),
        NOTHING_ASKED,
        {"relative_inverse"},
    ),
    "metric": (made_manifest([KEY], outputs=METRIC_OUTPUTS), NOTHING_ASKED, {"metres"}),
    "confidence": (
        made_manifest([KEY], outputs=CONFIDENT),
        NOTHING_ASKED,
        {"relative_depth", "confidence"},
    ),
    "no camera": (sky_manifest([KEY]), NOTHING_ASKED, {"focal_normalised", "sky"}),
    "camera": (sky_manifest([KEY]), FocalAsked(focal_px=70.0), {"metres", "sky"}),
}


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def lines(folder: Path) -> list[Any]:
    return [json.loads(line) for line in (folder / log.MANIFEST).read_text().splitlines()]


def run(engine: Engine, folder: Path, **options: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    job = FolderJob(folder / "in", folder / "out", formats=FORMATS, preview=True, **options)
    run_folder(engine, job, lambda entry, _: found.update({entry.image: entry.status}))
    return found


@pytest.fixture(name="folder")
def folder_fixture(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    rgba = picture(56, 56).convert("RGBA")
    (tmp_path / "in/a.png").write_bytes(encoded(rgba, "PNG"))
    (tmp_path / "in/bad.png").write_bytes(b"no image")
    (tmp_path / "in/gone.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "in/film.mp4").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize("name", JOBS)
def test_what_a_folder_job_writes_fits(name: str, folder: Path) -> None:
    manifest, focal, kinds = JOBS[name]
    with engine_of(manifest, focal) as engine:
        assert run(engine, folder) == {"a.png": DONE, "bad.png": FAILED, "gone.png": FAILED}
        (folder / "out" / log.MANIFEST).rename(folder / "first.jsonl")
        assert run(engine, folder, remark="")["a.png"] == KEPT
    result = read(folder / "out/a.json")
    closed("result").validate(result)
    assert {each["kind"] for each in result["maps"].values()} == kinds
    assert (result["focal"] is None) == (focal is NOTHING_ASKED)
    for listed in result["maps"].values():
        assert set(listed["files"]) == set(FORMATS)
        for kind in ALONE:
            data = (folder / "out" / listed["files"][kind]["name"]).read_bytes()
            closed("description").validate(json.loads(CODECS[kind].decode(data)[1] or ""))
    first = [json.loads(line) for line in (folder / "first.jsonl").read_text().splitlines()]
    for line in (*first, *lines(folder / "out")):
        closed("report").validate(line)
    with engine_of(manifest, focal) as engine:
        job = FolderJob(folder / "in", folder / "out", preset="midas")
        run_folder(engine, job)
    (unlisted,) = [line for line in lines(folder / "out") if "unlisted" in line]
    closed("report").validate(unlisted)
    assert {"a.npz", "a.preview.jpg"} < set(unlisted["unlisted"])
    del unlisted["unlisted"]["a.npz"]["sha256"]
    assert not closed("report").is_valid(unlisted)
    assert {line.get("status") for line in first} == {DONE, FAILED, None}
    assert [line["left_out"] for line in first if "left_out" in line] == [{".mp4": 1}]


def test_what_the_pipeline_saves_fits(tmp_path: Path) -> None:
    manifest, _, _ = JOBS["camera"]
    worker = ProgramWorker(lambda _program: Levels(manifest))
    backend = Backend([worker], None, images_at_once=2, shared=True)
    with DepthPipeline(
        lambda _sizes: [made_artifact(manifest)],
        policy=BUCKETS,
        sizes=[KEY.size],
        backend=lambda *_: backend,
        output_size="model",
    ) as pipeline:
        pipeline(picture(80, 80), focal=FocalAsked(fov_deg=60.0)).save(tmp_path / "a", ["png"])
    found = read(tmp_path / "a.json")
    closed("result").validate(found)
    assert found["source"]["sha256"] is None


@pytest.fixture(name="written")
def written_fixture(folder: Path) -> Mapping[str, Any]:
    manifest, focal, _ = JOBS["camera"]
    with engine_of(manifest, focal) as engine:
        run(engine, folder)
    entries = {line.get("image"): line for line in lines(folder / "out")}
    data = (folder / "out/a.png").read_bytes()
    return {
        "result": read(folder / "out/a.json"),
        "description": json.loads(CODECS["png"].decode(data)[1] or ""),
        "report": entries["a.png"],
        "failed": entries["bad.png"],
        "left_out": entries[None],
    }


def paths(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key of an object and of the objects in it."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield (*path, key)
            yield from paths(below, (*path, key))


def changed(value: Any, path: tuple[str, ...], new: Any = ...) -> Any:
    """A copy with another value at a key, or without the key."""
    value = copy.deepcopy(value)
    at = value
    for key in path[:-1]:
        at = at[key]
    if new is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = new
    return value


def free(path: tuple[str, ...]) -> bool:
    """Whether the key may be missing: names of maps, formats and files, and the caller's facts."""
    return path[-2:-1] in (
        ("files",),
        ("outputs",),
        ("timing_ms",),
        ("source",),
        ("left_out",),
    ) or (path in (("maps", "sky"), ("settings", "provenance", "trained")))


@pytest.mark.parametrize("name", ["result", "description", "report", "failed", "left_out"])
def test_a_missing_key_or_a_wrong_type_is_refused(name: str, written: Mapping[str, Any]) -> None:
    check = Draft202012Validator(schema_named(name if name in SCHEMAS else "report"))
    found = written[name]
    assert check.is_valid(found)
    keys = list(paths(found))
    for path in keys:
        assert check.is_valid(changed(found, path)) == free(path), path
        assert not check.is_valid(changed(found, path, [{}])), path
    assert len(keys) >= {"failed": 10, "left_out": 3}.get(name, 35)
    assert check.is_valid({**found, "later": 1}), "a later version may add keys"


def test_values_that_cannot_be_are_refused(written: Mapping[str, Any]) -> None:
    depth, sky = ("maps", "depth"), ("maps", "sky")
    for name, path, value in (
        ("result", ("format",), 1),
        ("result", (*depth, "kind"), "inverse"),
        ("result", (*depth, "kind"), "sky"),
        ("result", (*depth, "unit"), None),
        ("result", (*sky, "unit"), "m"),
        ("result", (*depth, "focal_divisor"), 300.0),
        ("result", (*depth, "height_px"), 0),
        ("result", (*depth, "valid_range"), [1.0]),
        ("result", (*depth, "files"), {}),
        ("result", (*depth, "files", "bmp"), written["result"]["maps"]["depth"]["files"]["png"]),
        ("result", (*depth, "files", "png", "name"), "../a.png"),
        ("result", (*depth, "files", "png", "sha256"), "0" * 63),
        ("result", (*depth, "files", "png", "dtype"), "int8"),
        ("result", ("focal", "source"), "guessed"),
        ("result", ("focal", "px"), 0),
        ("result", ("provenance", "output_size"), "half"),
        ("description", ("maps",), {}),
        ("report", ("status",), "kept"),
        ("report", ("reason",), "none"),
        ("report", ("outputs",), {}),
        ("report", ("finished",), "today"),
        ("report", ("timing_ms", "read"), -1),
    ):
        check = Draft202012Validator(schema_named(name))
        assert not check.is_valid(changed(written[name], path, value)), (path, value)
    check = Draft202012Validator(schema_named("report"))
    assert not check.is_valid({**written["failed"], "reason": ""})
    assert not check.is_valid({"format": 2})


def test_a_normalised_depth_names_its_divisor(written: Mapping[str, Any]) -> None:
    check = Draft202012Validator(schema_named("result"))
    normal = changed(written["result"], ("maps", "depth", "kind"), "focal_normalised")
    normal = changed(normal, ("maps", "depth", "unit"), None)
    assert not check.is_valid(normal)
    divisor = next(step for step in _steps() if isinstance(step, MetresFromFocal)).divisor
    assert check.is_valid(changed(normal, ("maps", "depth", "focal_divisor"), divisor))


def _steps() -> list[Any]:
    return [getattr(step, "step", step) for step in sky_manifest([KEY]).steps]
