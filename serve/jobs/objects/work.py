"""One image from a store, through the network, into a store."""

from __future__ import annotations

import time
from pathlib import PurePosixPath

from depth.images.given import Held
from depth.images.read import MAX_FILE_BYTES, ImageFile, refusal
from depth.maps.meta import MAX_JSON_BYTES
from depth.store.objects import ObjectStore
from serve.jobs.entry import DONE, FAILED, KEPT, Entry
from serve.jobs.memory import Budget, Room
from serve.jobs.objects.damage import damage
from serve.jobs.objects.keys import Stored, short, stem_of
from serve.jobs.objects.listing import Waiting
from serve.jobs.objects.making import Making
from serve.jobs.objects.presets import preset_of
from serve.jobs.objects.publish import publish
from serve.jobs.stage import Asked, ImageResult, Pixels, Stage
from serve.jobs.under_way import UnderWay

_FILES_BYTES = 256_000_000  # of image files in memory; a larger file waits for all others


class ImageWork:
    """Works on images of a job. Safe in any thread.

    folder  of the results
    room    of the stage
    making  what the results are made with
    """

    def __init__(
        self,
        stage: Stage,
        room: Room,
        images: ObjectStore,
        results: ObjectStore,
        folder: str,
        making: Making,
    ) -> None:
        self._stage = stage
        self._room = room
        self._images = images
        self._results = results
        self._folder = folder
        self._making = making
        self._fit = making.fitter()
        self._budget = Budget(_FILES_BYTES)

    def __call__(self, waiting: Waiting) -> Entry:
        """Download, work and publish; the entry of the image.

        Raises ImageError or InputError for the image, StoreError, and as `Stage.through`.
        """
        begun_s = time.monotonic()
        if waiting.size_bytes > MAX_FILE_BYTES:
            raise refusal(waiting.image, f"over the limit of {MAX_FILE_BYTES // 1_000_000} MB")
        if waiting.check is not None and self._is_whole(waiting.check):
            return Entry(waiting.image, KEPT, outputs=waiting.check.sizes_bytes)
        with self._budget.taken(waiting.size_bytes):
            file = self._file(waiting)
            known = waiting.known.get(short(file.sha256))
            if known is not None:  # the same bytes were uploaded again
                return Entry(waiting.image, KEPT, file.sha256, outputs=known.sizes_bytes)
            stem = stem_of(self._folder, waiting.image, waiting.tag, file.sha256)
            download_ms = (time.monotonic() - begun_s) * 1e3

            def use(result: ImageResult, pixels: Pixels) -> Entry:
                return self._published(waiting, stem, result, pixels, download_ms)

            return self._stage.through(Held(waiting.image, lambda: file), Asked(fit=self._fit), use)

    def refuse(self, waiting: Waiting) -> Entry:
        """The entry of an image that ended the process twice: only its header is looked at.

        Raises ImageError for the image, and StoreError.
        """
        file = self._file(waiting)
        size_px = file.header.width_px, file.header.height_px
        reason = UnderWay().reason(size_px, self._room.needed_bytes(file.header))
        return Entry(waiting.image, FAILED, file.sha256, reason=reason)

    def _is_whole(self, stored: Stored) -> bool:
        """Whether the files of a result are as its .json says."""
        *_, key = stored.sizes_bytes
        found = self._results.read(key, MAX_JSON_BYTES)
        return found is not None and not damage(self._results, key, found.data)

    def _file(self, waiting: Waiting) -> ImageFile:
        found = self._images.read(waiting.image, MAX_FILE_BYTES)
        if found is None:
            raise refusal(waiting.image, "was removed since it was listed")
        return ImageFile(found.data, waiting.image)

    def _published(
        self, waiting: Waiting, stem: str, result: ImageResult, pixels: Pixels, download_ms: float
    ) -> Entry:
        begun_s = time.monotonic()
        making, base = self._making, PurePosixPath(stem).name
        preset = preset_of(making.preset, result, base, pixels, making.focal)
        asked = making.formats, making.preview, preset
        done = publish(self._results, stem, result, pixels, *asked)
        timing_ms = {**result.timing_ms, "write": (time.monotonic() - begun_s) * 1e3}
        timing_ms["read"] += download_ms
        return Entry(
            waiting.image,
            DONE if done.won else KEPT,
            result.source["sha256"],
            outputs=done.sizes_bytes,
            notes=tuple(result.source["notes"]),
            timing_ms={what: round(ms, 1) for what, ms in timing_ms.items()},
            fit=result.fit,
        )
