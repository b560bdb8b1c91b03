"""An image in, a depth map out."""

from __future__ import annotations

import time
from dataclasses import dataclass

from depth_anything_v2.depth_map import DepthMap, FloatArray, Provenance
from depth_anything_v2.errors import InputError
from depth_anything_v2.image import SourceImage
from depth_anything_v2.postprocess import resize_depth
from depth_anything_v2.preprocess import prepare
from depth_anything_v2.sizes import SHORT_SIDE_PX
from serve.library import Library, Size
from serve.shapes import EXACT, POLICIES, program_size


@dataclass(frozen=True)
class Prepared:
    """An image as network input [1,3,h,w], and what is needed to finish it."""

    source: SourceImage
    size: Size
    tensor: FloatArray


@dataclass(frozen=True)
class Raw:
    """Network output [h,w] before it is resized, and how long the network took."""

    values: FloatArray
    prepared: Prepared
    network_ms: float


class Engine:
    """Runs images of any size through the programs of a library. Safe in any thread.

    Raises InputError for an unknown shape policy.
    """

    def __init__(
        self, library: Library, policy: str = EXACT, short_side_px: int = SHORT_SIDE_PX
    ) -> None:
        if policy not in POLICIES:
            raise InputError(f"no shape policy {policy!r}; choose from {', '.join(POLICIES)}")
        self.library = library
        self.policy = policy
        self.short_side_px = short_side_px

    def size_for(self, height_px: int, width_px: int) -> Size:
        """The program size for an image; raises InputError or NoProgram if it can have none."""
        return program_size(
            self.policy, (height_px, width_px), self.library.sizes, self.short_side_px
        )

    def prepare(self, source: SourceImage) -> Prepared:
        """Network input for an image. Raises InputError or NoProgram if it can have none."""
        size = self.size_for(source.header.height_px, source.header.width_px)
        folded = self.library.artifact(size).manifest.preprocess.folded
        return Prepared(source, size, prepare(source.pixels, size, folded))

    def run(self, prepared: Prepared) -> Raw:
        """The network's part. Raises NoProgram, RuntimeFailure or ArtifactError."""
        runtime = self.library.runtime(prepared.size)
        started = time.perf_counter()
        values = runtime.run(prepared.tensor)[0]
        return Raw(values, prepared, (time.perf_counter() - started) * 1e3)

    def finish(self, raw: Raw) -> DepthMap:
        """The depth map at the image's own size."""
        header = raw.prepared.source.header
        values = resize_depth(raw.values, (header.height_px, header.width_px))
        artifact = self.library.artifact(raw.prepared.size)
        m = artifact.manifest
        return DepthMap(values, m.kind, m.max_depth_m, self.provenance(raw.prepared.size))

    def provenance(self, size: Size) -> Provenance:
        """What a result of this program size says about its making."""
        artifact = self.library.artifact(size)
        m = artifact.manifest
        return Provenance(
            model=m.model,
            weights=m.checkpoint.file,
            weights_sha256=m.checkpoint.sha256,
            artifact=artifact.identity,
            target=m.target,
            precision=m.precision,
            preprocess_mode=m.preprocess.mode,
            shape_policy=self.policy,
            model_height_px=size[0],
            model_width_px=size[1],
        )

    def depth(self, source: SourceImage) -> DepthMap:
        """One image, start to end; a missing program is built if the library can."""
        self.library.prepare([self.size_for(source.header.height_px, source.header.width_px)])
        return self.finish(self.run(self.prepare(source)))
