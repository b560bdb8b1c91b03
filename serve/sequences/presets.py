"""Presets of a sequence: how its frames are named, what is known of each, and the summary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path, PurePosixPath
from typing import Any, Optional, Union

from depth.errors import DepthFileError, ImageError
from depth.images.read import ImageFile, SourceImage, decode
from depth.maps.consumer import is_inside
from depth.maps.files import read_sidecar
from depth.maps.meta import Sidecar
from depth.presets.shot import Shot, says_camera
from depth.presets.summary import Done
from depth.presets.table import PICTURE, Preset, preset_named
from depth.steps.focal import FocalAsked
from serve.sequences.frames import VIDEO, Frame, Frames, opened
from serve.sequences.raw import beside, stem_of
from serve.sequences.record import Record
from serve.sequences.request import SequenceJob


class FramePresets(AbstractContextManager["FramePresets"]):
    """What a preset takes besides the depth of each frame.

    frames  of the job, which has read them when their pictures are written. So their images are
            read once more, in their order
    asked   what the user says of the camera
    """

    def __init__(self, job: SequenceJob, frames: Frames, asked: FocalAsked) -> None:
        self._job, self._frames = job, frames
        self._known: dict[str, Any] = {"asked": asked, "rate": frames.rate}
        self._open = ExitStack()
        self._again: Optional[Iterator[Frame]] = None
        name = job.folder.preset
        self._preset: Optional[Preset] = preset_named(name) if name else None
        self.setting = ""  # what a rerun compares, as PresetFacts.setting
        if self._preset is not None:
            self.setting = f"{name} {Shot(**self._known).asked_of(self._preset)}".strip()

    def __exit__(self, *raised: Any) -> None:
        self._open.__exit__(*raised)

    def name(self, record: Record) -> str:
        """The name of a frame's files, less their suffixes. Raises DepthFileError.

        The number of the frame where one configuration speaks of all files of a folder.
        """
        if self._preset is None:
            return record.name
        if self._preset.is_one_export:
            return f"{record.number:06}"
        return self._image_name(record) if self._preset.whole_name else record.name

    def shot(self, record: Record, raw: Sidecar) -> Shot:
        """What is known of a frame. Raises ImageError if its image is not what it was."""
        known, preset = dict(self._known), self._preset
        if preset is not None and (preset.takes or says_camera(preset)):
            image = self._image(record)
            known["exif_focal"] = image.header.focal_px
            if PICTURE in preset.takes:
                known["pixels"] = (decode(image) if isinstance(image, ImageFile) else image).pixels
        return Shot.of(raw.source, **known)

    def done(self, records: Iterable[Record], folder: str) -> Iterator[Done]:
        """The frames whose files are there, for the preset's file of all frames.

        folder  of their files, inside the output folder
        """
        output = self._job.folder.output
        for record in records:
            with suppress(DepthFileError):
                path = beside(stem_of(output, self.name(record), folder))
                listed = read_sidecar(path).preset
                if listed is not None and record.code_scale is not None:
                    place = PurePosixPath(path.parent.relative_to(output).as_posix())
                    time = f"{record.seconds:.6f}" if self._frames.kind == VIDEO else ""
                    yield Done(self._image_name(record), place, listed, time)

    def _image_name(self, record: Record) -> str:
        """The path of a frame's image inside the input folder; of a video, the frame's name."""
        output, folder = self._job.folder.output, self._job.folder.input
        source = read_sidecar(beside(stem_of(output, record.name))).source
        path = Path(str(source.get("path")))
        if self._frames.kind != VIDEO and folder in path.parents:
            name = path.relative_to(folder).as_posix()
            if is_inside(name):
                return name
        return record.name

    def _image(self, record: Record) -> Union[ImageFile, SourceImage]:
        """Of a frame. Call it in the order of the frames. Raises ImageError."""
        if self._again is None:
            job, fps = self._job.folder, self._job.fps
            self._again = self._open.enter_context(opened(job.input, job.output, fps)).each
        for frame in self._again:
            if frame.number == record.number:
                found = frame.held.open()
                if found.sha256 == record.sha256:
                    return found
                break
        raise ImageError(f"{record.name}: the image changed while the job ran: run it again")
