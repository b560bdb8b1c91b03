"""What a user may choose of an export."""

from __future__ import annotations

from dataclasses import dataclass, replace

from depth.errors import InputError

DEFAULT = "default"  # of each format: see `size_of`
SOURCE, OWN = "source", "own"  # the size of the source image, or of the scene's own maps
SIZES = (SOURCE, OWN)

_OF_SOURCES = frozenset({"colmap", "nerfstudio"})  # models of the images that the caller has

_FASTEST = 240


@dataclass(frozen=True)
class Options:
    """Raises InputError for values out of range.

    size          of maps, images and cameras: one of SIZES for all formats, or DEFAULT. Without
                  source images, the scene's own
    percentile    pixels whose confidence is below this percentile become no points
    points        how many points GLB and PLY have at most
    track_points  how many points a COLMAP model has at most
    seed          of the draw when there are more points than that
    cameras       whether GLB shows the cameras
    black         whether nearly black pixels become points: all three channels below 16
    white         whether nearly white pixels become points: all three channels 240 and above
    every         1: Gaussians of each view; 2: of each second view
    fps           pictures per second of a video
    """

    size: str = DEFAULT
    percentile: float = 40.0
    points: int = 1_000_000
    track_points: int = 100_000
    seed: int = 0
    cameras: bool = True
    black: bool = True
    white: bool = True
    every: int = 1
    fps: float = 15.0

    def __post_init__(self) -> None:
        if self.size not in (DEFAULT, *SIZES):
            names = f"{DEFAULT}, {SOURCE} or {OWN}"
            raise InputError(f"size {self.size!r} of an export: expected {names}")
        if not 0 <= self.percentile <= 100:
            raise InputError(f"confidence percentile {self.percentile}: expected 0 to 100")
        for name in ("points", "track_points", "every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}: expected 1 or more")
        if self.seed < 0:
            raise InputError(f"seed {self.seed}: expected 0 or more")
        if not 0 < self.fps <= _FASTEST:
            raise InputError(f"fps {self.fps}: expected over 0, up to {_FASTEST}")

    def of(self, name: str) -> Options:
        """The same for one format, whose size is one of SIZES."""
        return replace(self, size=size_of(name, self.size))


def size_of(name: str, size: str) -> str:
    """One of SIZES, for a format by its name.

    By DEFAULT, models of the source images have the size of these, and all else the scene's own.
    """
    if size == DEFAULT:
        return SOURCE if name in _OF_SOURCES else OWN
    return size


DEFAULTS = Options()
