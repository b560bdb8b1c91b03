"""The JSON Schemas have the keys, types and choices of the code, no more and no fewer."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from depth.errors import InputError
from depth.family import DEPTH_KINDS, MAP_KINDS, UNITS
from depth.maps import meta
from depth.maps.consumer import ListedPreset
from depth.maps.fit import FIT_BY, FIT_METHODS, FIT_SOURCES, FIT_SPACES, FitBasis, FitRecord
from depth.maps.formats import CODECS
from depth.maps.projection import ALONG_RAY, EQUIRECTANGULAR, JoinedView, Projection
from depth.maps.result import (
    EXIF,
    FOCAL_PX,
    FOV_DEG,
    INTRINSICS,
    OUTPUT_SIZES,
    Focal,
    Provenance,
)
from depth.maps.schema import SCHEMAS, schema_named
from depth.panoramas.alignment import ALIGNMENTS
from depth.preprocess import MODES
from depth_anything.cli import app
from serve.folder import manifest as log
from serve.jobs.entry import DONE, FAILED, Entry, Settings
from serve.shapes import POLICIES

# Name of a definition, its dataclass, and keys that are written beside the fields.
WRITTEN: list[tuple[str, type[Any], set[str]]] = [
    ("result", meta.Sidecar, {"format"}),
    ("description", meta.Inside, {"format"}),
    ("map", meta.MapFacts, {"unit", "meaning", "to_image_px", "valid_range"}),
    ("file", meta.ListedFile, set()),
    ("encoding", meta.Encoding, set()),
    ("picture", meta.Picture, set()),
    ("preset", ListedPreset, set()),
    ("preset_file", meta.Picture, set()),
    ("focal", Focal, set()),
    ("projection", Projection, set()),
    ("joined_view", JoinedView, set()),
    ("fit_basis", FitBasis, set()),
    ("provenance", Provenance, {"trained"}),
    ("settings", Settings, set()),
    ("entry", Entry, {"format"}),
    ("unlisted_file", log.Unlisted, set()),
]


def resolved(schema: Any, definitions: Any) -> Any:
    """What a property may be besides null, without references."""
    found = next(each for each in schema.get("anyOf", [schema]) if each.get("type") != "null")
    while not found.keys() & {"type", "enum", "const"}:
        found = definitions[found["$ref"].rpartition("/")[2]]
    return found


def kind_of(schema: Any) -> set[str]:
    if "enum" in schema or "const" in schema:
        given = schema.get("enum", [schema.get("const")])
        names = {str: "string", int: "integer", type(None): "null"}
        return {names[type(each)] for each in given}
    found = schema["type"]
    return set(found) if isinstance(found, list) else {found}


def wanted_of(hint: Any) -> set[str]:
    plain = {str: "string", int: "integer", float: "number", bool: "boolean"}
    if hint in plain:
        return {plain[hint]}
    if get_origin(hint) is Union:
        (inner,) = [arg for arg in get_args(hint) if arg is not type(None)]
        return {*wanted_of(inner), "null"}
    return {"array"} if get_origin(hint) is tuple else {"object"}


@pytest.mark.parametrize(("name", "record", "more"), WRITTEN, ids=[row[0] for row in WRITTEN])
def test_a_schema_has_the_keys_and_types_of_its_record(
    name: str, record: type[Any], more: set[str]
) -> None:
    definitions = schema_named("result")["$defs"]
    definition = definitions[name]
    names = {field.name for field in fields(record)}
    optional = {"trained", "projection", *({"preset"} if name == "result" else ())}
    assert set(definition["properties"]) == names | more
    assert set(definition["required"]) == (names | more) - optional
    for field, hint in get_type_hints(record).items():
        schema = definition["properties"][field]
        null = {"null"} if "anyOf" in schema else set()
        assert kind_of(resolved(schema, definitions)) | null == wanted_of(hint), field


def test_choices_are_those_of_the_code() -> None:
    definitions = schema_named("result")["$defs"]

    def choices(name: str, *keys: str) -> set[Any]:
        found = definitions[name]
        for key in keys:
            found = found["properties"][key]
        return set(found["enum"])

    assert choices("map", "kind") == set(MAP_KINDS)
    assert choices("map", "unit") == {*UNITS.values(), None}
    assert choices("depth_map", "kind") == set(DEPTH_KINDS)
    assert choices("file_format") == set(CODECS)
    assert choices("dtype") == {codec.dtype for codec in CODECS.values()}
    assert choices("focal", "source") == {FOCAL_PX, FOV_DEG, INTRINSICS, EXIF}
    assert choices("projection", "kind") == {EQUIRECTANGULAR}
    assert choices("projection", "distance") == {ALONG_RAY}
    assert choices("projection", "alignment") == set(ALIGNMENTS)
    assert choices("fit_basis", "source") == set(FIT_SOURCES)
    assert choices("fit_basis", "by") == set(FIT_BY)
    assert choices("fit_basis", "unit") == {*UNITS.values(), None}
    assert choices("fit", "space") == set(FIT_SPACES)
    assert choices("fit", "method") == set(FIT_METHODS)
    basis, fit = definitions["fit_basis"], definitions["fit"]
    names = {field.name for field in fields(FitRecord)}
    assert {*basis["properties"], *fit["properties"]} == names
    assert {*basis["required"], *fit["required"]} == names
    assert choices("provenance", "preprocess_mode") == set(MODES)
    assert choices("provenance", "shape_policy") == set(POLICIES)
    assert choices("provenance", "output_size") == set(OUTPUT_SIZES)
    assert choices("entry", "status") == {DONE, FAILED}
    for name, number in (("result", meta.FORMAT), ("description", meta.FORMAT)):
        assert definitions[name]["properties"]["format"] == {"const": number}
    for name in ("entry", "left_out", "unlisted"):
        assert definitions[name]["properties"]["format"] == {"const": log.FORMAT}


def test_a_command_prints_them_and_an_unknown_name_is_refused() -> None:
    for name in SCHEMAS:
        done = CliRunner().invoke(app, ["schema", name])
        assert done.exit_code == 0
        schema = json.loads(done.stdout)
        assert schema == schema_named(name)
        Draft202012Validator.check_schema(schema)
    assert CliRunner().invoke(app, ["schema", "depth"]).exit_code == 2
    with pytest.raises(InputError, match="no schema 'depth': expected result, description, report"):
        schema_named("depth")
