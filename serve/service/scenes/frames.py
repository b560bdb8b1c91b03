"""The frames of a video as the images of a task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2

from depth.errors import InputError
from depth.images.video import EXTENSIONS, Video, has_video

MOST_FRAMES = 1000

_FAST = [cv2.IMWRITE_PNG_COMPRESSION, 1]


def is_video(paths: Sequence[str]) -> bool:
    """Whether images by these names are a video. Raises InputError for one among others."""
    found = [path for path in paths if path.lower().endswith(EXTENSIONS)]
    if found and len(paths) > 1:
        raise InputError(f"{len(paths)} files with a video among them: send a video alone")
    if found and not has_video():
        raise InputError("a video: the service has no PyAV, so send its frames as images")
    return bool(found)


def frames_of(path: Path, fps: float, folder: Path, on_frame: Callable[[int], None]) -> list[Path]:
    """Every n-th frame of a video, written into a new folder as PNG; returns the files.

    fps       frames per second to take
    on_frame  called with the number of frames so far; what it raises ends the work

    Raises ImageError for what is no video, InputError for more than MOST_FRAMES frames.
    """
    folder.mkdir()
    found: list[Path] = []
    with Video(path, fps) as video:
        for frame in video.frames():
            if len(found) == MOST_FRAMES:
                raise InputError(f"over {MOST_FRAMES} frames: take fewer with a lower video_fps")
            found.append(folder / f"{len(found):06d}.png")
            pixels = cv2.cvtColor(frame.pixels, cv2.COLOR_RGB2BGR)
            found[-1].write_bytes(cv2.imencode(".png", pixels, _FAST)[1].tobytes())
            on_frame(len(found))
    return found
