"""What the OpenAPI description says of the bodies and answers of the protocol."""

from __future__ import annotations

from typing import Any

from serve.service.v2.request import ENCODED, IMAGE
from serve.service.v2.tensors import DATATYPES

_OBJECT = {"application/json": {"schema": {"type": "object"}}}
_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}

INFERRED = {
    "description": "Depth in JSON, or JSON with raw tensors after it.",
    "content": {**_OBJECT, **_BINARY},
}
LISTED = {
    "description": "The models.",
    "content": {"application/json": {"schema": {"type": "array", "items": {"type": "object"}}}},
}
EMPTY = {
    "description": "Yes; the body is empty.",
    "content": {"text/plain": {"schema": {"type": "string", "maxLength": 0}}},
}


def _optional(field: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A body that may be left out, of an object that has at most this field."""
    found = {"type": "object", "properties": {field: schema}, "additionalProperties": False}
    content = {"application/json": {"schema": found}}
    return {"requestBody": {"required": False, "content": content}}


INDEX_BODY = _optional("ready", {"type": "boolean", "description": "only models that are ready"})
CONTROL_BODY = _optional(
    "parameters",
    {
        "type": "object",
        "properties": {"unload_dependents": {"const": False}},
        "additionalProperties": False,
    },
)
_PARAMETERS = {"type": "object", "description": "by name: texts, numbers, true or false"}
_INPUT = {
    "type": "object",
    "required": ["name", "datatype", "shape"],
    "properties": {
        "name": {"enum": [IMAGE, ENCODED]},
        "datatype": {"enum": list(DATATYPES)},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}, "maxItems": 8},
        "parameters": _PARAMETERS,
        "data": {"type": "array", "description": "as many values as the shape says"},
    },
}
_OUTPUT = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "parameters": _PARAMETERS},
}
_REQUEST = {
    "type": "object",
    "required": ["inputs"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "maxLength": 1000},
        "parameters": _PARAMETERS,
        "inputs": {"type": "array", "items": _INPUT, "minItems": 1, "maxItems": 1},
        "outputs": {"type": "array", "items": _OUTPUT},
    },
}
INFER: dict[str, Any] = {
    "parameters": [
        {
            "name": "Inference-Header-Content-Length",
            "in": "header",
            "required": False,
            "description": "Length of the JSON part, if raw tensors follow it.",
            "schema": {"type": "integer", "minimum": 0},
        }
    ],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": _REQUEST}, **_BINARY},
    },
}
