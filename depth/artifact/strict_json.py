"""JSON into frozen dataclasses, with nothing missing or of another type, and nothing unknown unless
further keys are let pass.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

_LARGEST_EXACT_INT = 2**53  # as a float
_MAX_DIGITS = 400  # of a whole number


def parse_object(data: bytes) -> dict[str, Any]:
    """A JSON object from bytes. Raises ValueError for other JSON, repeated keys, NaN, bad UTF-8."""
    try:
        found = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_whole,
        )
    except RecursionError:
        raise ValueError("lists or objects are nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError(f"holds a {type(found).__name__}, expected an object")
    return found


def decode(cls: type[T], data: Any, where: str = "", further: bool = False) -> T:
    """Build dataclass `cls` from parsed JSON. Raises ValueError that names the field at fault.

    With `further`, unknown keys are let pass at every level.
    """
    if not isinstance(data, dict):
        raise ValueError(f"{where or 'top level'} is {data!r}, expected an object")
    hints = _hints(cls)  # type: ignore[arg-type]
    names = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    unknown = set() if further else set(data) - names
    for problem, keys in (("unknown", unknown), ("missing", names - set(data))):
        if keys:
            raise ValueError(f"{problem} field {', '.join(where + key for key in sorted(keys))}")
    return cls(
        **{name: _value(hints[name], data[name], where + name, further) for name in sorted(names)}
    )


@cache
def _hints(cls: type[Any]) -> dict[str, Any]:
    return get_type_hints(cls)  # compiles the text of every annotation


def _value(hint: Any, data: Any, where: str, further: bool) -> Any:
    if hint is Any:
        return data
    if hasattr(hint, "from_json"):
        return hint.from_json(data, where)
    origin, args = get_origin(hint), get_args(hint)
    if origin is Union:  # Optional[X]
        return None if data is None else _value(args[0], data, where, further)
    if origin is tuple:
        return _items(args, data, where, further)
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(args[1], data, where, further)
    if is_dataclass(hint):
        return decode(hint, data, where + ".", further)  # type: ignore[arg-type]
    if hint is float and type(data) is int and abs(data) <= _LARGEST_EXACT_INT:
        data = float(data)
    if type(data) is not hint or (hint is float and not math.isfinite(data)):
        raise ValueError(f"field {where} is {data!r}, expected {hint.__name__}")
    return data


def _items(args: tuple[Any, ...], data: Any, where: str, further: bool) -> tuple[Any, ...]:
    any_length = len(args) == 2 and args[1] is ...
    if not isinstance(data, list) or not (any_length or len(data) == len(args)):
        raise ValueError(f"field {where} is {data!r}, expected a list of {len(args)}")
    hints = args[:1] * len(data) if any_length else args
    return tuple(
        _value(h, item, f"{where}[{i}]", further) for i, (h, item) in enumerate(zip(hints, data))
    )


def _mapping(hint: Any, data: Any, where: str, further: bool) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ValueError(f"field {where} is {data!r}, expected an object")
    return {key: _value(hint, value, f"{where}.{key}", further) for key, value in data.items()}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is repeated")
    return found


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    """A finite number; json would also take 1e999."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number


def _whole(text: str) -> int:
    """A number of ordinary length: converting a million digits takes minutes."""
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)
