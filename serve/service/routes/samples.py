"""Sample images that a service offers, for people who look at its page first."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response

from serve.service.failures import RequestError

_MOST = 24
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")  # what every browser shows


def sample_routes(folder: Path) -> APIRouter:
    """The list of the images in a folder, and the images."""
    router = APIRouter(tags=["samples"])

    def found() -> dict[str, Path]:
        paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in _SUFFIXES)
        return {path.name: path for path in paths[:_MOST]}

    @router.get("/v1/samples")
    def samples() -> dict[str, list[dict[str, str]]]:
        """Names and paths of the sample images."""
        return {"samples": [{"name": name, "url": f"/v1/samples/{name}"} for name in found()]}

    @router.get("/v1/samples/{name}", response_class=FileResponse)
    def sample(name: str) -> Response:
        """A sample image."""
        path = found().get(name)  # only a listed name: no path leads out of the folder
        if path is None:
            raise RequestError(404, f"no sample {name[:100]!r}: /v1/samples lists them")
        return FileResponse(path)

    return router
