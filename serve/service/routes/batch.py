"""/v1/batch: many images in one request, results later."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any, Optional

from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as InPath
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from depth.files import read_regular
from depth.maps.files import FORMATS
from serve.service.answers import MEDIA_TYPES
from serve.service.asgi.noted import noted_of
from serve.service.batches.job import Job, images_of
from serve.service.batches.jobs import MAX_IMAGES, MAX_JOB_BYTES, Jobs
from serve.service.failures import RequestError
from serve.service.kept.folder import UnknownJobError
from serve.service.kept.uploading import uploaded
from serve.service.routes.documented import answer, errors, schema
from serve.service.routes.query import strict_query
from serve.service.routes.sending import Whole
from serve.service.service import Service

FIELD = "images"
PREVIEW = "preview"
_MAX_RESULT_BYTES = 1_000_000_000
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[a-z]+){1,2}")
_ID = InPath(description="Id of a job.", pattern="^[0-9a-f]{32}$")
_RESULT = InPath(description="Name of a file in the job's `files`.", pattern=f"^{_NAME.pattern}$")
_STRING, _INTEGER = {"type": "string"}, {"type": "integer"}
_IMAGE = schema(
    name=_STRING,
    status={"enum": ["waiting", "done", "failed"]},
    reason=_STRING,
    files={"type": "object", "additionalProperties": _STRING},
)
_JOB: dict[str, Any] = schema(
    job=_STRING,
    state={"enum": ["queued", "running", "done", "failed"]},
    model=_STRING,
    total=_INTEGER,
    done=_INTEGER,
    failed=_INTEGER,
    created=_STRING,
    finished={"type": ["string", "null"]},
)
_WHOLE_JOB = {
    **_JOB,
    "properties": {**_JOB["properties"], "images": {"type": "array", "items": _IMAGE}},
}
_LIST = schema(jobs={"type": "array", "items": _JOB})
_BINARY = {"type": "string", "format": "binary"}
_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": [FIELD],
                "additionalProperties": False,
                "properties": {
                    FIELD: {"type": "array", "items": _BINARY, "minItems": 1, "maxItems": 1000}
                },
            }
        }
    },
}
_SUFFIXES = {
    **{name: MEDIA_TYPES[name] for name in FORMATS},
    "json": "application/json",
    "jpg": "image/jpeg",
}
_FILE = {
    "description": "A file of a result.",
    "content": {media_type: {"schema": _BINARY} for media_type in _SUFFIXES.values()},
}
_QUERY: Any = Query()


class BatchQuery(BaseModel):
    """The options of a new job."""

    model: Optional[str] = Field(None, description="Name of a model; by default the first.")
    format: list[str] = Field(
        ["png"],
        description=f"One or more of {', '.join((*FORMATS, PREVIEW))}.",
        json_schema_extra={"items": {"type": "string", "enum": [*FORMATS, PREVIEW]}},
    )

    def formats(self) -> list[str]:
        """The formats of depth files. Raises RequestError (400)."""
        for name in self.format:
            if name not in (*FORMATS, PREVIEW):
                have = ", ".join((*FORMATS, PREVIEW))
                raise RequestError(400, f"format {name[:50]!r}: expected some of {have}")
        return [name for name in dict.fromkeys(self.format) if name != PREVIEW] or ["png"]


def batch_routes(service: Service) -> APIRouter:
    """The routes of batch jobs. Without a folder for jobs, each says how to have one."""
    router = APIRouter(tags=["batch"], dependencies=[Depends(strict_query)])

    @router.post(
        "/v1/batch",
        openapi_extra={"requestBody": _BODY},
        status_code=202,
        responses={
            202: {
                **answer("The job; its images are on the disk.", _JOB),
                "headers": {"Location": {"schema": _STRING}},
            },
            **errors(404, 408, 413, 415, 429, 503),
        },
    )
    async def create(request: Request, options: BatchQuery = _QUERY) -> Response:
        """Take images for a job. Results come one by one, also after a restart."""
        jobs, formats = _jobs(service), options.formats()
        model = service.models.usable(options.model)
        noted_of(request.scope).model = model.name
        with jobs.uploading() as upload:
            form = await uploaded(request, service.bodies, upload, FIELD, MAX_IMAGES, MAX_JOB_BYTES)
            images = images_of([file.filename for file in form.files])
            new = (upload, model.name, formats, PREVIEW in options.format, images)
            job = await asyncio.to_thread(jobs.add, *new)
        url = _url(job)
        return JSONResponse(job.about(url, with_images=False), 202, {"Location": url})

    add_job_routes(router, service)
    return router


def add_job_routes(router: APIRouter, service: Service) -> None:
    """The routes of jobs that are there."""

    @router.get("/v1/batch", responses={200: answer("The jobs.", _LIST), **errors(404)})
    async def listed() -> Response:
        """All jobs, the oldest first, without their images."""
        jobs = _jobs(service)
        return await _json(lambda: {"jobs": [each.about(_url(each), False) for each in jobs.all]})

    @router.get("/v1/batch/{job}", responses={200: answer("A job.", _WHOLE_JOB), **errors(404)})
    async def one(job: str = _ID) -> Response:
        """How far a job is, and the files of its results."""
        found = _jobs(service).find(job)
        return await _json(lambda: found.about(_url(found), True))

    @router.delete(
        "/v1/batch/{job}",
        status_code=204,
        response_class=Response,
        responses={204: {"description": "The job and its files are gone."}, **errors(404)},
    )
    async def delete(job: str = _ID) -> Response:
        """Cancel a job, and delete its images and results."""
        await asyncio.to_thread(_jobs(service).remove, job)
        return Response(status_code=204)

    @router.get(
        "/v1/batch/{job}/files/{name}",
        response_class=Response,
        responses={200: _FILE, **errors(404)},
    )
    async def result(job: str = _ID, name: str = _RESULT) -> Response:
        """A file of a result; the images of a job list them."""
        path = _jobs(service).find(job).results / name
        media_type = _SUFFIXES.get(name.rpartition(".")[2])
        try:
            data = await asyncio.to_thread(read_regular, path, _MAX_RESULT_BYTES)
        except OSError:
            media_type = None
        if media_type is None:
            raise UnknownJobError("the job has no such file; its images list their files")
        return Whole(data, media_type, {}, service.bodies)


def _jobs(service: Service) -> Jobs:
    if service.jobs is None:
        raise UnknownJobError("this service keeps no batch jobs; start it with --jobs FOLDER")
    return service.jobs


def _url(job: Job) -> str:
    return f"/v1/batch/{job.id}"


async def _json(made: Callable[[], dict[str, Any]]) -> Response:
    return JSONResponse(await asyncio.to_thread(made))
