"""The web pages and their files: static, from this package, and allowed to ask nothing else."""

from __future__ import annotations

from collections.abc import Mapping
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


def add_page(app: FastAPI, pages: Mapping[str, str]) -> None:
    """Pages by their paths, each the name of a file, and `/page/`, which has all their files."""
    router = APIRouter(include_in_schema=False)

    def add(path: str, name: str) -> None:
        async def page() -> Response:
            return FileResponse(FOLDER / name, headers=POLICY)

        router.add_api_route(path, page)

    for path, name in pages.items():
        add(path, name)
    app.include_router(router)
    app.mount("/page", _Files(directory=FOLDER, check_dir=False))
