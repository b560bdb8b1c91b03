"""Options in a query: each that a route does not know, or that comes twice, is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from fastapi import Request
from pydantic import BaseModel

from serve.service.failures import RequestError


async def strict_query(request: Request) -> None:
    """A dependency of routes. Raises RequestError (400) for such an option."""
    known = dict(_options(request.scope["route"].dependant.query_params))
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name not in known:
            have = ", ".join(sorted(known)) or "none"
            raise RequestError(400, f"unknown option {name[:50]!r}; this path knows {have}")
        if name in seen and not known[name]:
            raise RequestError(400, f"option {name!r} comes twice")
        seen.add(name)


def _options(parameters: Iterable[Any]) -> Iterator[tuple[str, bool]]:
    """The names of options, and whether an option may come several times."""
    for parameter in parameters:
        kind = parameter.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            for name, field in kind.model_fields.items():
                yield name, "list" in str(field.annotation)
        else:
            yield parameter.alias, "list" in str(kind)
