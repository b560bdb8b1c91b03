"""What the OpenAPI description says of the bodies and answers of the protocol."""

from __future__ import annotations

from typing import Any

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
JSON_BODY: dict[str, Any] = {"requestBody": {"required": False, "content": _OBJECT}}
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
    "requestBody": {"required": True, "content": {**_OBJECT, **_BINARY}},
}
