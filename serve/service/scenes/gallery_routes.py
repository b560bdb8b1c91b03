"""The paths of a gallery: its page, its lists and its files."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Optional

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, Response

from serve.service.failures import RequestError
from serve.service.routes.documented import answer, errors, schema
from serve.service.routes.opened import file_answer
from serve.service.routes.page import FOLDER, POLICY
from serve.service.routes.query import strict_query
from serve.service.scenes import gallery

_LIST = {"type": "array", "items": {"type": "object"}}
_GROUPS, _SCENES = schema(groups=_LIST), schema(group={"type": "string"}, items=_LIST)
_ANY = {"schema": {"type": "string", "format": "binary"}}
_FILE = {"description": "The bytes.", "content": {"*/*": _ANY}}


def gallery_routes(root: Path, prefix: str) -> APIRouter:
    """The gallery in a folder. `prefix`: of its paths, "" or as `/gallery`."""
    router = APIRouter(tags=["gallery"], dependencies=[Depends(strict_query)])

    @router.get(f"{prefix}/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(FOLDER / "gallery.html", headers=POLICY)

    if prefix:

        @router.get(prefix, include_in_schema=False)
        async def moved() -> Response:
            return RedirectResponse(f"{prefix}/")

    else:

        @router.get("/favicon.ico", include_in_schema=False)
        async def favicon() -> Response:
            return Response(status_code=204)

    @router.get(
        f"{prefix}/manifest.json", responses={200: answer("The groups.", _GROUPS), **errors()}
    )
    async def groups() -> Response:
        """Groups that have a scene."""
        return JSONResponse(await asyncio.to_thread(gallery.groups, root))

    @router.get(
        f"{prefix}/manifest/{{group}}.json",
        responses={200: answer("The scenes of a group.", _SCENES), **errors()},
    )
    async def scenes(group: str) -> Response:
        """The scenes of a group, with the paths of their files."""
        return JSONResponse(await asyncio.to_thread(gallery.scenes, root, group, f"{prefix}/"))

    @router.get(
        f"{prefix}/{{path:path}}", response_class=Response, responses={200: _FILE, **errors(404)}
    )
    async def file(path: str) -> Response:
        """A file of a scene."""
        found: Optional[Response] = await asyncio.to_thread(_file, root, path)
        if found is None:
            raise RequestError(404, "the gallery has no such file", detail="File not found")
        return found

    return router


def _file(root: Path, path: str) -> Optional[Response]:
    found = gallery.place(root, path)
    try:
        return None if found is None else file_answer(found)
    except OSError:  # a folder, or gone meanwhile
        return None
