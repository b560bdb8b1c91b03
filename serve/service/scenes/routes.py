"""Upstream's paths for tasks that make scenes, and further paths: uploads, cancel, files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from depth.scenes.names import names_of
from serve.service.failures import RequestError
from serve.service.kept.folder import Upload
from serve.service.kept.uploading import uploaded
from serve.service.routes.documented import answer, errors, schema
from serve.service.routes.opened import file_answer, zip_answer
from serve.service.routes.query import strict_query
from serve.service.scenes.backend import Backend
from serve.service.scenes.request import InferenceRequest, SceneOptions, parsed
from serve.service.scenes.tasks import MAX_IMAGES, MAX_TASK_BYTES, new_id
from serve.service.service import Service
from serve.service.uploads import is_form

FIELD, OPTIONS = "images", "request"  # parts of a form
_MAX_JSON_BYTES = 8_000_000
_STRING, _NUMBER, _OBJECT = {"type": "string"}, {"type": "number"}, {"type": "object"}
_MESSAGE = schema(message=_STRING)
_TASK = schema(task_id=_STRING, status=_STRING, message=_STRING, created_at=_NUMBER)
_LIST = schema(tasks={"type": "array", "items": _TASK}, active_count=_NUMBER, total_count=_NUMBER)
_ACCEPTED = schema(success={"type": "boolean"}, message=_STRING, task_id=_STRING)
_FILES = schema(files={"type": "array", "items": schema(name=_STRING, bytes=_NUMBER, url=_STRING)})
_ANY = {"schema": {"type": "string", "format": "binary"}}
_FILE: dict[str, Any] = {"description": "The bytes.", "content": {"*/*": _ANY}}
_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": InferenceRequest.model_json_schema()},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": [FIELD],
                "properties": {
                    FIELD: {"type": "array", "items": _ANY["schema"], "maxItems": MAX_IMAGES},
                    OPTIONS: {"type": "string", "description": "The options as JSON."},
                },
            }
        },
    },
}


def scene_routes(service: Service, backend: Backend) -> APIRouter:
    """The routes of tasks, and of the model that makes their scenes."""
    router = APIRouter(tags=["scenes"], dependencies=[Depends(strict_query)])
    _add_state(router, backend, service.settings.gallery is not None)
    _add_tasks(router, service, backend)
    _add_files(router, backend)
    return router


def _add_state(router: APIRouter, backend: Backend, gallery: bool) -> None:
    @router.get("/status", responses={200: answer("The model.", _OBJECT), **errors()})
    async def status() -> Response:
        """The model and since when it is loaded; whether there is a gallery, and single images."""
        more = {"gallery": gallery, "images": not backend.alone}
        return JSONResponse({**backend.model.about(), **more})

    @router.get("/gpu-memory", responses={200: answer("Of CUDA.", _OBJECT), **errors()})
    async def gpu_memory() -> Response:
        """Upstream's path: this service uses no CUDA device."""
        said = "CUDA not available or memory info cannot be retrieved"
        return JSONResponse({"available": False, "message": said})

    @router.post("/reload", responses={200: answer("Loaded.", _MESSAGE), **errors()})
    async def reload() -> Response:
        """Load the model again, while no task runs."""
        if backend.tasks.running:
            said = "a task runs: wait for its end, or cancel it"
            raise RequestError(400, said, detail=said)
        await asyncio.to_thread(backend.model.reload)
        return JSONResponse({"message": "Model reloaded successfully"})

    @router.post("/cleanup", responses={200: answer("Done.", _MESSAGE), **errors()})
    async def cleanup() -> Response:
        """Remove tasks that ended ten minutes ago, and all but the last hundred."""
        await asyncio.to_thread(backend.tasks.clean)
        count = len(backend.tasks.all)
        return JSONResponse({"message": "Cleanup completed", "active_tasks": count})


def _add_tasks(router: APIRouter, service: Service, backend: Backend) -> None:
    tasks = backend.tasks

    @router.post(
        "/inference",
        openapi_extra={"requestBody": _BODY},
        responses={
            200: answer("The task, which waits for its turn.", _ACCEPTED),
            **errors(408, 413, 415, 422, 429, 503),
        },
    )
    async def inference(request: Request) -> Response:
        """Have a scene made of images or of a video: paths on the server, or uploads in a form."""
        with tasks.uploading(new_id()) as upload:
            asked, names = await _asked(request, service, upload)
            await asyncio.to_thread(backend.check, asked, names or asked.image_paths)
            task = await asyncio.to_thread(backend.submit, upload, asked, names)
        return JSONResponse(
            {
                "success": True,
                "message": "Task submitted successfully",
                "task_id": task.id,
                "export_dir": asked.export_dir,
                "export_format": asked.export_format,
                "processing_time": None,
            }
        )

    @router.get("/tasks", responses={200: answer("The tasks.", _LIST), **errors()})
    async def listed() -> Response:
        """All tasks, the oldest first."""
        return JSONResponse(await asyncio.to_thread(backend.listed))

    @router.get("/task/{task_id}", responses={200: answer("A task.", _TASK), **errors(404)})
    async def one(task_id: str) -> Response:
        """How far a task is."""
        return JSONResponse(tasks.find(task_id).about())

    def act(path: str, method: str, done: Callable[[str], None], said: str, what: str) -> None:
        """A route that does something to a task."""

        async def change(task_id: str) -> Response:
            await asyncio.to_thread(done, task_id)
            return JSONResponse({"message": said.format(task_id)})

        change.__doc__, change.__name__ = what, done.__name__
        responses = {200: answer("Done.", _MESSAGE), **errors(404)}
        router.add_api_route(path, change, methods=[method], responses=responses)

    act("/task/{task_id}", "DELETE", tasks.delete, "Task {} deleted successfully", _DELETE)
    act("/task/{task_id}/cancel", "POST", tasks.cancel, "Task {} ends soon", _CANCEL)
    act("/task/{task_id}/resubmit", "POST", tasks.again, "Task {} waits again", _AGAIN)


_DELETE = "Remove a task that has ended, and its files."
_CANCEL = "End a task that waits or runs."
_AGAIN = "Have a failed or cancelled task run again."


def _add_files(router: APIRouter, backend: Backend) -> None:
    @router.get("/task/{task_id}/files", responses={200: answer("Files.", _FILES), **errors(404)})
    async def files(task_id: str) -> Response:
        """The files of a completed task; none before its end."""
        return JSONResponse(await asyncio.to_thread(_listed, backend, task_id))

    @router.get(
        "/task/{task_id}/files.zip", response_class=Response, responses={200: _FILE, **errors(404)}
    )
    async def whole(task_id: str) -> Response:
        """All files of a completed task."""
        task = backend.tasks.find(task_id)
        found = await asyncio.to_thread(list, task.files())
        if not found:
            raise RequestError(404, "the task has no files", detail="File not found")
        return zip_answer(task.results, found, f"{task.id}.zip")

    @router.get(
        "/task/{task_id}/files/{name:path}",
        response_class=Response,
        responses={200: _FILE, **errors(404)},
    )
    async def one(task_id: str, name: str) -> Response:
        """A file of a completed task."""
        task = backend.tasks.find(task_id)
        known = {str(path.relative_to(task.results)): path for path in task.files()}
        try:
            return await asyncio.to_thread(file_answer, known[name])
        except (KeyError, OSError) as error:
            said = "the task has no such file; /task/ID/files lists them"
            raise RequestError(404, said, detail="File not found") from error


def _listed(backend: Backend, task_id: str) -> dict[str, Any]:
    task = backend.tasks.find(task_id)
    url = f"/task/{task.id}/files"
    files = []
    for path in task.files():
        name = str(path.relative_to(task.results))
        files.append({"name": name, "bytes": path.stat().st_size, "url": f"{url}/{quote(name)}"})
    return {"files": files, "zip": f"{url}.zip"}


async def _asked(request: Request, service: Service, upload: Upload) -> tuple[Any, tuple[str, ...]]:
    """What a request asks, and the names of the images that it brought."""
    if not is_form(request):
        chunks = service.bodies.chunks(request, _MAX_JSON_BYTES)
        text = b"".join([part async for part in chunks])
        return await asyncio.to_thread(parsed, InferenceRequest, text), ()
    limits = FIELD, MAX_IMAGES, MAX_TASK_BYTES
    form = await uploaded(request, service.bodies, upload, *limits)
    text = form.texts.get(OPTIONS, "{}").encode("utf-8", "replace")
    asked = await asyncio.to_thread(parsed, SceneOptions, text)
    return asked, names_of([_plain(file.filename) for file in form.files])


def _plain(name: Any) -> str:
    """The file name of an upload, as text that can be written."""
    return str(name or "").replace("\\", "/").encode("utf-8", "replace").decode()
