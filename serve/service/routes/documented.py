"""What the OpenAPI description says of every route: its errors, headers and media types."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from serve.service.failures import RequestError

ERROR = "Error"  # name of the schema
_EVERYWHERE = (400, 401, 403, 405, 421, 500)
_TEXTS = {
    400: "An option or the image is wrong; the text says what to do.",
    401: "The token is missing or wrong.",
    403: "A page of another site made a browser send this.",
    404: "There is no such thing.",
    405: "The path takes other methods, which are in the header Allow.",
    406: "The header Accept takes none of the media types.",
    408: "The body did not arrive in time.",
    409: "The state does not allow it.",
    413: "The body is too large.",
    415: "The body has another media type or coding.",
    422: "A field of the body is wrong; `detail` lists which and why.",
    421: "The header Host names another machine.",
    429: "Too much waits already; Retry-After says when to try again.",
    500: "A fault of the service.",
    503: "Not ready, draining or out of service; Retry-After says when to try again.",
    504: "The deadline passed.",
}
_TEXT = {"schema": {"type": "string"}}
_RETRY = {"Retry-After": {"description": "seconds", "schema": {"type": "integer", "minimum": 1}}}
_HEADERS = {
    401: {"WWW-Authenticate": _TEXT},
    405: {"Allow": _TEXT},
    415: {"Accept-Encoding": _TEXT},
    429: _RETRY,
    503: _RETRY,
}
_ID = {"description": "the caller's, or a new id", "schema": {"type": "string"}}
_ERROR_SCHEMA = {
    "type": "object",
    "required": ["error", "kind"],
    "properties": {"error": {"type": "string"}, "kind": {"type": "string"}},
    "example": {"error": "no map 'sky': this model has depth", "kind": "RequestError"},
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For `responses=` of a route: these errors, and those that every route can give."""
    return {status: _error(status) for status in sorted({*statuses, *_EVERYWHERE})}


def answer(description: str, content: dict[str, Any], retry: bool = False) -> dict[str, Any]:
    """For `responses=` of a route: an answer in JSON by this schema."""
    headers = _RETRY if retry else {}
    body = {"application/json": {"schema": content}}
    return {"description": description, "headers": headers, "content": body}


def schema(**properties: dict[str, Any]) -> dict[str, Any]:
    """Of an object that has these properties."""
    return {"type": "object", "required": list(properties), "properties": properties}


def _error(status: int) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{ERROR}"}
    return {
        "description": _TEXTS[status],
        "headers": _HEADERS.get(status, {}),
        "content": {"application/json": {"schema": schema}},
    }


def complete(app: FastAPI, token: bool) -> None:
    """Complete the description that FastAPI makes, when it is first asked for.

    token  whether requests have to carry a token
    """
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = made()
            schemas = schema.setdefault("components", {}).setdefault("schemas", {})
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            schemas[ERROR] = _ERROR_SCHEMA
            if token:
                bearer = {"type": "http", "scheme": "bearer"}
                schema["components"]["securitySchemes"] = {"token": bearer}
                schema["security"] = [{"token": []}]
            for operation in _operations(schema):
                if "HTTPValidationError" in str(operation["responses"].get("422")):
                    del operation["responses"]["422"]
                for parameter in operation.get("parameters", ()):
                    _without_null(parameter["schema"])
                for response in operation["responses"].values():
                    response["headers"] = {"Request-Id": _ID, **response.get("headers", {})}
        found = app.openapi_schema
        if found is None:
            raise RequestError(500, "there is no description")
        return found

    app.openapi = openapi  # type: ignore[method-assign]


def _without_null(schema: dict[str, Any]) -> None:
    """An option that is not there has no value: a query has no null."""
    some = [each for each in schema.pop("anyOf", ()) if each != {"type": "null"}]
    for each in some:
        schema.update(each)


def _operations(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in schema["paths"].values():
        yield from path.values()
