"""What a user may choose of an export."""

from __future__ import annotations

from dataclasses import dataclass

from depth.errors import InputError

SOURCE, OWN = "source", "own"  # the size of the source image, or of the scene's own maps
SIZES = (SOURCE, OWN)


@dataclass(frozen=True)
class Options:
    """Raises InputError for values out of range.

    size          one of SIZES: of maps, images and cameras. Without source images, the scene's own
    percentile    pixels whose confidence is below this percentile become no points
    points        how many points GLB and PLY have at most
    track_points  how many points a COLMAP model has at most
    seed          of the draw when there are more points than that
    cameras       whether GLB shows the cameras
    black         whether nearly black pixels become points: all three channels below 16
    white         whether nearly white pixels become points: all three channels 240 and above
    """

    size: str = SOURCE
    percentile: float = 40.0
    points: int = 1_000_000
    track_points: int = 100_000
    seed: int = 0
    cameras: bool = True
    black: bool = True
    white: bool = True

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise InputError(f"size {self.size!r} of an export: expected {' or '.join(SIZES)}")
        if not 0 <= self.percentile <= 100:
            raise InputError(f"confidence percentile {self.percentile}: expected 0 to 100")
        for name in ("points", "track_points"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}: expected 1 or more")
        if self.seed < 0:
            raise InputError(f"seed {self.seed}: expected 0 or more")


DEFAULTS = Options()
