"""An artifact of instance masks: pixels in, instances and their region out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Optional

import numpy as np
import numpy.typing as npt

from depth.artifact.manifest import Artifact, Manifest
from depth.artifact.program import Program
from depth.artifact.steps import DecodeYolov8Seg, Do, Letterbox, Normalise
from depth.artifact.verification import FAILED, state
from depth.errors import InputError
from depth.family import INSTANCE_MASKS
from depth.steps.instances import PROTOTYPE_PX, cells_of, class_indices, instances_in, region_of
from depth.steps.letterbox import letterboxed, placed
from serve.backend import CPU_STREAMS, open_runtime
from serve.errors import ProgramError, RefusedError

_BOX = 4


@dataclass(frozen=True)
class Found:
    """What is in an image: [H,W], true where an instance is, and how many of each class."""

    region: npt.NDArray[np.bool_]
    counts: Mapping[str, int]


class InstanceNetwork:
    """Finds instances of the wanted classes. Safe in any thread; loaded when first used.

    classes              names; () for those of the artifact
    confidence           in place of the artifact's: scores have to be above it
    allow_failed_parity  use an artifact whose numbers are known to be wrong

    Raises RefusedError for an artifact that gives something else or failed its gate, InputError for
    an unknown class or a confidence outside of 0..1.
    """

    def __init__(
        self,
        artifact: Artifact,
        classes: Collection[str] = (),
        confidence: Optional[float] = None,
        allow_failed_parity: bool = False,
    ) -> None:
        self._artifact = artifact
        self._letterbox, self._normalise, step = _steps(artifact)
        self._program = _program(artifact, step)
        if state(artifact) == FAILED and not allow_failed_parity:
            raise RefusedError(
                f"{artifact.folder}: failed its parity gate, its numbers are wrong; import the "
                "file again, or give --allow-failed-parity"
            )
        if confidence is not None:
            if not 0 <= confidence < 1:
                raise InputError(f"--confidence {confidence:g}: expected 0 to 1")
            step = replace(step, confidence=confidence)
        self.classes = tuple(classes or step.wanted)
        self.step = step
        self._wanted = class_indices(step, self.classes)
        (key,) = artifact.manifest.keys
        self._runtime = open_runtime(artifact, artifact.manifest.stages(key), CPU_STREAMS)

    @property
    def identity(self) -> str:
        return self._artifact.identity

    def find(self, pixels: npt.NDArray[np.uint8]) -> Found:
        """The instances in pixels uint8 [H,W,3] BGR.

        Raises InputError for an image that is too narrow, ProgramError if the program fails or
        gives numbers that are not finite.
        """
        height, width = pixels.shape[:2]
        place = placed((height, width), self._program.size)
        image = letterboxed(pixels, place, self._letterbox, self._normalise)
        outputs = self._runtime.run({self._program.inputs[0].name: image})
        for name, values in outputs.items():
            if not np.isfinite(values).all():
                raise ProgramError(f"the network's {name} is not finite: its numbers overflow")
        step = self.step
        instances = instances_in(outputs[step.detections][0], step, self._wanted)
        region = region_of(instances, outputs[step.prototypes][0], place, step.threshold)
        counts = Counter(step.classes[instance.class_index] for instance in instances)
        return Found(region, dict(counts))


def _steps(artifact: Artifact) -> tuple[Letterbox, Normalise, DecodeYolov8Seg]:
    """What is done before and after the network. Raises RefusedError for any other steps."""
    m = artifact.manifest
    if not any(output.kind == INSTANCE_MASKS for output in m.outputs):
        raise RefusedError(
            f"{artifact.folder}: makes depth, and no masks of instances; import a segmentation "
            "network with `python -m compile import FILE.onnx --as instance-masks`"
        )
    steps = tuple(step.step for step in m.steps if isinstance(step, Do))
    if len(steps) == 3 and len(m.runs) == 1:
        letterbox, normalise, decode = steps
        if (
            isinstance(letterbox, Letterbox)
            and isinstance(normalise, Normalise)
            and isinstance(decode, DecodeYolov8Seg)
            and 0 <= letterbox.level <= 255
            and min(normalise.std) > 0
        ):
            return letterbox, normalise, decode
    raise RefusedError(
        f"{artifact.folder}: its steps are {', '.join(_named(m))}; this version does letterbox, "
        "normalise, run, decode_yolov8_seg: import the file again"
    )


def _named(manifest: Manifest) -> list[str]:
    return [str(step.as_json().get("do", "run")) for step in manifest.steps]


def _program(artifact: Artifact, step: DecodeYolov8Seg) -> Program:
    """The only program. Raises RefusedError for shapes that the step cannot decode."""
    programs = artifact.manifest.programs
    program = programs[0]
    height, width = program.size
    shapes = {**program.shapes(program.inputs), **program.shapes(program.outputs)}
    rows, prototypes = shapes.get(step.detections, ()), shapes.get(step.prototypes, ())
    count = prototypes[1] if len(prototypes) == 4 else 0
    expected = (
        (1, _BOX + len(step.classes) + count, cells_of(program.size)),
        (1, count, height // PROTOTYPE_PX, width // PROTOTYPE_PX),
    )
    one = len(programs) == len(program.inputs) == 1
    if not one or not count or (rows, prototypes) != expected or not step.classes:
        raise RefusedError(
            f"{artifact.folder}: its outputs {step.detections} {list(rows)} and "
            f"{step.prototypes} {list(prototypes)} do not go with {len(step.classes)} classes and "
            f"{width}x{height} px: import the file again"
        )
    return program
