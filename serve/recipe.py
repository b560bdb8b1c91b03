"""What the steps of a manifest say to do with one image: before the network runs, and after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from depth.artifact.manifest import Manifest
from depth.artifact.steps import VIEW, Do, HostStep, MetresFromFocal, RunStage
from depth.errors import InputError
from depth.family import DEPTH, METRES
from depth.postprocess import Finishing, step_names
from depth.preprocess import Preparation


@dataclass(frozen=True)
class Recipe:
    """The steps of an artifact, ready for any number of images, in any thread."""

    before: Preparation
    after: Finishing
    needs_focal: bool  # whether results depend on the focal length of the camera
    # Of all steps that do something: by whether maps get the image's size, and whether the focal
    # length is known.
    names: Mapping[tuple[bool, bool], tuple[str, ...]]

    @staticmethod
    def of(manifest: Manifest) -> Recipe:
        """The steps of a manifest.

        Raises InputError for steps that this version does not do, or not in this order.
        """
        scenes = [step for step in manifest.steps if step.per != VIEW]
        if scenes or len(manifest.runs) != 1:
            raise InputError(
                f"steps run {', '.join(manifest.runs)}, {len(scenes)} of them once per scene; "
                "here one stage runs on each image, and ScenePipeline serves scenes"
            )
        place = next(i for i, step in enumerate(manifest.steps) if isinstance(step, RunStage))
        before, after = _host(manifest, 0, place), _host(manifest, place, None)
        return Recipe(
            Preparation(before, manifest.size),
            Finishing(after),
            any(isinstance(step, MetresFromFocal) for step in after),
            {
                (full_size, has_focal): step_names(before + after, full_size, has_focal)
                for full_size in (False, True)
                for has_focal in (False, True)
            },
        )


def depth_kind(manifest: Manifest) -> str:
    """The kind of depth after all host steps; metres where a focal length makes them."""
    if any(
        isinstance(step.step, MetresFromFocal) for step in manifest.steps if isinstance(step, Do)
    ):
        return METRES
    return next(output.kind for output in manifest.outputs if output.name == DEPTH)


def _host(manifest: Manifest, first: int, end: Optional[int]) -> tuple[HostStep, ...]:
    return tuple(step.step for step in manifest.steps[first:end] if isinstance(step, Do))
