"""What OpenAPI says of the paths of the protocol: statuses, bodies, media types."""

from __future__ import annotations

from typing import Any, Union

Responses = dict[Union[int, str], dict[str, Any]]

_SAID = {
    400: "The request is not as the protocol or the model wants it.",
    403: "The operator does not let callers do this.",
    404: "No such model or version.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The coding of the body is unknown.",
    429: "Too many requests wait; try again after Retry-After seconds.",
    500: "A fault of the service.",
    503: "Not ready; try again after Retry-After seconds.",
    504: "The deadline passed before the work began.",
}
_OBJECT = {"application/json": {"schema": {"type": "object"}}}
_ERROR = {
    "type": "object",
    "properties": {"error": {"type": "string"}, "kind": {"type": "string"}},
    "required": ["error"],
}
_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}

ANSWER: Responses = {
    200: {
        "description": "The answer, in JSON; raw tensors may follow the JSON of an inference.",
        "content": {"application/json": {"schema": {}}, **_BINARY},
    }
}
EMPTY: Responses = {200: {"description": "Yes; the body is empty.", "content": {}}}
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


def answers(*statuses: int) -> Responses:
    """Answers with these statuses and an error."""
    return {
        status: {
            "description": _SAID[status],
            "content": {"application/json": {"schema": _ERROR}},
        }
        for status in statuses
    }
