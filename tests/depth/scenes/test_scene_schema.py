"""The JSON Schema of scene.json: what exports write fits it, and nothing else does."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from depth.scenes.export import DESCRIPTION, FORMATS, export_scene
from depth.scenes.options import Options
from depth.scenes.scene import Scene
from depth.scenes.schema import scene_schema
from tests.support.commands import ended
from tests.support.rendered import rendered, sure
from tests.support.scene_samples import small, source, with_all

FEW = Options(points=50, track_points=40)


def closed() -> Draft202012Validator:
    """The schema without room for further keys, so that nothing is written that it does not say."""
    schema = scene_schema()
    for name in ("scene", "camera", "options", "scene_file", "provenance"):
        schema["$defs"][name]["unevaluatedProperties"] = False
    schema["$defs"]["camera"]["properties"]["maps"]["unevaluatedProperties"] = False
    return Draft202012Validator(schema)


def written(scene: Scene, folder: Path, formats: list[str], options: Options = FEW) -> Any:
    export_scene(scene, folder, formats, options)
    return json.loads((folder / DESCRIPTION).read_text())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    scene = with_all(sure(rendered(size=(24, 32))).scene)
    sources = (source((48, 64)),) * len(scene)
    return written(replace(scene, sources=sources), tmp_path_factory.mktemp("a"), list(FORMATS))


def test_what_exports_write_fits(whole: Any, tmp_path: Path) -> None:
    closed().validate(whole)
    closed().validate(written(small(), tmp_path / "a", ["npz"], Options(size="own")))
    assumed = small(assumed="the angle of view")
    found = written(assumed, tmp_path / "b", ["ply"], Options(size="source"))
    closed().validate(found)
    assert found["assumed"] == "the angle of view"
    made = replace(small().provenance, weights="untrained", weights_sha256="")
    closed().validate(written(small(provenance=made), tmp_path / "c", ["npz"]))


def test_the_schema_knows_every_format_and_option() -> None:
    definitions = scene_schema()["$defs"]
    assert definitions["format"]["enum"] == list(FORMATS)
    assert definitions["options"]["required"] == list(asdict(FEW))
    assert list(definitions["options"]["properties"]) == list(asdict(FEW))
    Draft202012Validator.check_schema(scene_schema())


def change(path: str, value: Any) -> Callable[[Any], None]:
    def changed(found: Any) -> None:
        *way, last = path.split(".")
        for key in way:
            found = found[int(key) if key.isdigit() else key]
        found[last] = value

    return changed


def without(path: str) -> Callable[[Any], None]:
    def changed(found: Any) -> None:
        *way, last = path.split(".")
        for key in way:
            found = found[int(key) if key.isdigit() else key]
        del found[last]

    return changed


WRONG = {
    "format": change("format", 2),
    "no views": change("views", 0),
    "a unit": change("unit", "ft"),
    "no unit": without("unit"),
    "no provenance": without("provenance.model"),
    "an unknown format": change("formats", ["npz", "obj"]),
    "a format twice": change("formats", ["npz", "npz"]),
    "a size": change("sizes.npz", "half"),
    "an option": change("options.percentile", 101),
    "no option": without("options.seed"),
    "no camera": change("cameras", []),
    "no lens of the maps": without("cameras.0.maps"),
    "a lens": change("cameras.1.intrinsics", [[1, 0], [0, 1]]),
    "a matrix": change("cameras.1.extrinsics", [[0.0] * 4] * 4),
    "a name with a folder": change("cameras.0.name", "a/b.png"),
    "a path that leaves": change("files", {"/etc/passwd": {"bytes": 1, "sha256": "0" * 64}}),
    "a hash": change("files", {"a": {"bytes": 1, "sha256": "0"}}),
    "an empty file": change("files", {"a": {"bytes": 0, "sha256": "0" * 64}}),
    "nothing assumed": change("assumed", ""),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_does_not_fit(wrong: str, whole: Any) -> None:
    found = copy.deepcopy(whole)
    WRONG[wrong](found)
    assert not Draft202012Validator(scene_schema()).is_valid(found)


def test_a_later_version_may_add_keys(whole: Any) -> None:
    assert Draft202012Validator(scene_schema()).is_valid({**whole, "more": 1})
    assert not closed().is_valid({**whole, "more": 1})


def test_the_command_prints_it() -> None:
    from depth_anything.cli import main

    done = ended(lambda: main("main.py"), "main.py", "schema", "scene")
    assert done.code == 0, done.err
    assert json.loads(done.out) == scene_schema()
