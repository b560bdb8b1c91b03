"""JSON into dataclasses: each kind of field, and each way to be wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

import pytest

from depth.artifact.strict_json import decode, parse_object


@dataclass(frozen=True)
class Inner:
    name: str


@dataclass(frozen=True)
class Outer:
    count: int
    share: Optional[float]
    pair: tuple[int, int]
    items: tuple[Inner, ...]
    table: Mapping[str, str]
    inner: Optional[Inner]


GOOD: dict[str, Any] = {
    "count": 3,
    "share": 0.5,
    "pair": [1, 2],
    "items": [{"name": "a"}, {"name": "ä"}],
    "table": {"k": "v"},
    "inner": {"name": "b"},
}


def test_every_kind_of_field() -> None:
    assert decode(Outer, GOOD) == Outer(
        3, 0.5, (1, 2), (Inner("a"), Inner("ä")), {"k": "v"}, Inner("b")
    )
    empty = {**GOOD, "share": None, "items": [], "table": {}, "inner": None}
    assert decode(Outer, empty) == Outer(3, None, (1, 2), (), {}, None)


def test_a_whole_number_is_accepted_for_a_float() -> None:
    share = decode(Outer, {**GOOD, "share": 2}).share
    assert share == 2
    assert type(share) is float


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("count", 3.0, "field count is 3.0, expected int"),
        ("count", "3", "field count is '3', expected int"),
        ("count", True, "field count is True, expected int"),
        ("count", None, "field count is None, expected int"),
        ("share", "2", "field share is '2', expected float"),
        ("share", float("nan"), "field share is nan, expected float"),
        ("share", float("inf"), "field share is inf, expected float"),
        ("share", False, "field share is False, expected float"),
        ("share", 2**53 + 1, "field share is 9007199254740993, expected float"),
        ("pair", [1], r"field pair is \[1\], expected a list of 2"),
        ("pair", [1, 2, 3], "expected a list of 2"),
        ("pair", [1, "2"], r"field pair\[1\] is '2', expected int"),
        ("items", {"name": "a"}, "expected a list"),
        ("items", "a", "field items is 'a', expected a list"),
        ("items", [7], r"items\[0\]. is 7, expected an object"),
        ("items", [{"name": 1}], r"field items\[0\].name is 1, expected str"),
        ("items", [{"nom": "a"}], r"unknown field items\[0\].nom"),
        ("items", [{}], r"missing field items\[0\].name"),
        ("table", {"k": 1}, "field table.k is 1, expected str"),
        ("table", [], r"field table is \[\], expected an object"),
        ("inner", [], r"inner. is \[\], expected an object"),
    ],
)
def test_a_wrong_value_is_named(field: str, value: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        decode(Outer, {**GOOD, field: value})


@pytest.mark.parametrize("data", [None, [], 3, "x"])
def test_anything_but_an_object_is_refused(data: Any) -> None:
    with pytest.raises(ValueError, match="top level is .*, expected an object"):
        decode(Outer, data)


def test_all_unknown_or_missing_fields_are_named() -> None:
    with pytest.raises(ValueError, match="unknown field a, b"):
        decode(Outer, {**GOOD, "b": 1, "a": 2})
    with pytest.raises(ValueError, match="missing field count, inner, items, pair, share, table"):
        decode(Outer, {})


def test_parse_object() -> None:
    assert parse_object('{"a": {"ä": [1, 2.5, null]}}'.encode()) == {"a": {"ä": [1, 2.5, None]}}


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'{"a": 1, "a": 1}', "a key is repeated"),
        (b'{"a": {"b": 1, "b": 2}}', "a key is repeated"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b'{"a": "\xff"}', "can't decode byte"),
        (b'{"a": Infinity}', "Infinity is not JSON"),
        (b'{"a": 1e999}', "1e999 is not a finite number"),
        (b'{"a": 1' + b"0" * 400 + b"}", "a number of 401 digits"),
        (b"{}{}", "Extra data"),
        (b"null", "holds a NoneType, expected an object"),
        (b"[1]", "holds a list, expected an object"),
        (b'"x"', "holds a str"),
        (b"{", "Expecting"),
        (b"", "Expecting value"),
        (b'{"a": 1,}', "Expecting property name|Illegal trailing comma"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_parse_object_refuses(data: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        parse_object(data)
