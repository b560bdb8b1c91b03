"""The web page and its files: static, from this package, and allowed to ask nothing else."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parents[1] / "page"
POLICY = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class _Files(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        if "\0" in path:  # which no file system takes
            raise HTTPException(404)
        answer = await super().get_response(path, scope)
        answer.headers.update(POLICY)
        return answer


def add_page(app: FastAPI) -> None:
    """`GET /` is the page, `GET /docs` shows the paths of the service, `/page/` has their files."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def index() -> Response:
        return FileResponse(FOLDER / "index.html", headers=POLICY)

    @router.get("/docs")
    async def docs() -> Response:
        return FileResponse(FOLDER / "docs.html", headers=POLICY)

    app.include_router(router)
    app.mount("/page", _Files(directory=FOLDER, check_dir=False))
