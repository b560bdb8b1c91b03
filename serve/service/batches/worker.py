"""The thread that works on batch jobs: one image at a time, through the queue of its model."""

from __future__ import annotations

import logging
from functools import partial

from depth.errors import DepthAnythingError, ImageError
from depth.files import is_full, read_regular
from depth.images.given import Held
from depth.images.read import MAX_FILE_BYTES, ImageFile
from depth.maps.files import write_result
from serve.errors import ClosedError, DiskFullError, OutOfServiceError, QueueFullError, ServeError
from serve.jobs.stage import Asked, ImageResult, Pixels
from serve.jobs.under_way import UnderWay, under_way_in
from serve.service.batches.job import Image, Job
from serve.service.batches.jobs import Jobs
from serve.service.kept.thread import JobThread
from serve.service.model import Model
from serve.service.models import Models, NotReadyError, UnknownModelError

logger = logging.getLogger(__name__)

_AGAIN_S = 0.2  # after a full queue


class Worker(JobThread[Job]):
    """Works on the batch jobs of a service from `start` to `close`.

    `close` finishes the image under way.
    """

    def __init__(self, jobs: Jobs, models: Models) -> None:
        super().__init__("batches", jobs, self._tried)
        self._models = models

    def _tried(self, job: Job) -> None:
        job.running = True
        try:
            self._images(job)
        except UnknownModelError as error:
            for image in job.waiting():
                job.fail(image, str(error))
        except (ClosedError, NotReadyError, OutOfServiceError) as error:
            logger.warning("job %s waits: %s", job.id, error)
            self.pause()
        finally:
            job.running = False
        if not (job.removed or self.closing.is_set() or any(job.waiting())):
            job.end()

    def _images(self, job: Job) -> None:
        """Every image that waits; suspects of an earlier process that was killed come last."""
        waiting = list(job.waiting())
        names = [image.file for image in job.images]
        with under_way_in(job.folder, names, True) as under_way:
            for image in sorted(waiting, key=lambda each: each.file in under_way.suspects):
                if self.closing.is_set() or job.removed:
                    return
                if image.file in under_way.guilty:
                    job.fail(image, _GUILTY)
                    under_way.clear(image.file)
                else:
                    self._image(job, image, under_way)

    def _image(self, job: Job, image: Image, under_way: UnderWay) -> None:
        try:
            held = _held(job, image)
            # Not longer than an image: a model that is exchanged waits for its users.
            with self._models.use(job.model) as model, under_way.named(image.file):
                self._submitted(job, image, model, held)
        except (ClosedError, NotReadyError, OutOfServiceError, UnknownModelError):
            raise
        except Exception as error:
            if is_full(error):
                raise DiskFullError("the disk is full; delete finished jobs") from error
            if not isinstance(error, (DepthAnythingError, ServeError)):
                logger.exception("job %s: %s: unexpected error", job.id, image.name)
            job.fail(image, str(error) or repr(error))

    def _submitted(self, job: Job, image: Image, model: Model, held: Held) -> None:
        def write(result: ImageResult, pixels: Pixels) -> None:
            with job.writing:
                if not job.removed:
                    stem = job.results / image.stem
                    write_result(result, stem, job.formats, result.source, job.preview, pixels)

        work = partial(model.stage.through, held, Asked(), write)
        while not (self.closing.is_set() or job.removed):
            try:
                model.submit(work).result()
                return
            except QueueFullError:  # callers who wait for an answer go first
                self.closing.wait(_AGAIN_S)


_GUILTY = (
    "the service was killed twice while this image was under way, the second time with no other "
    "image of the job; reduce the image, or save it again"
)


def _held(job: Job, image: Image) -> Held:
    """The upload under the name that its caller gave it. Raises ImageError."""
    try:
        data = read_regular(job.upload(image.file), MAX_FILE_BYTES)
    except OSError as error:
        raise ImageError(f"{image.name}: cannot be read: {error.strerror}") from error
    return Held(image.name, partial(ImageFile, data, image.name))
