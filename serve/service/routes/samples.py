"""Sample images that a service offers, for people who look at its page first."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse, JSONResponse, Response

from serve.service.failures import RequestError
from serve.service.routes.documented import answer, errors, schema
from serve.service.routes.query import strict_query

_MOST = 24
_TYPES = {  # what every browser shows
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
}
_SAMPLE = schema(name={"type": "string"}, url={"type": "string"})
_SAMPLES = schema(samples={"type": "array", "items": _SAMPLE})
_IMAGE: dict[str, Any] = {
    "description": "The image.",
    "content": {
        media_type: {"schema": {"type": "string", "format": "binary"}}
        for media_type in _TYPES.values()
    },
}


def sample_routes(folder: Path) -> APIRouter:
    """The list of the images in a folder, and the images."""
    router = APIRouter(tags=["samples"], dependencies=[Depends(strict_query)])

    def found() -> dict[str, Path]:
        paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in _TYPES)
        return {path.name: path for path in paths[:_MOST]}

    @router.get("/v1/samples", responses={200: answer("The images.", _SAMPLES), **errors()})
    def samples() -> Response:
        """Names and paths of the sample images."""
        listed = [{"name": name, "url": f"/v1/samples/{quote(name)}"} for name in found()]
        return JSONResponse({"samples": listed})

    @router.get(
        "/v1/samples/{name}",
        response_class=Response,
        responses={200: _IMAGE, **errors(404)},
    )
    def sample(name: str) -> Response:
        """A sample image."""
        path = found().get(name)  # only a listed name: no path leads out of the folder
        if path is None:
            raise RequestError(404, f"no sample {name[:100]!r}: /v1/samples lists them")
        return FileResponse(path, media_type=_TYPES[path.suffix.lower()])

    return router
