"""Does the saved program give the given file's raw outputs? Each part by a measure of its own.

Detections:

    box_px        largest difference of a box's numbers, in px of the network's input
    score         largest difference of a score, 0..1
    coefficient   largest difference of a coefficient

Prototypes:

    max_rel       largest difference
    mean_rel      mean difference

The last three are shares of the largest such number that the given file has on any test image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from compile.errors import ParityError
from compile.parity.inputs import ParityInput, Picture, hard_cases
from compile.parity.measure import failure, figures, limits_text
from compile.targets.protocols import Limits, Ports, Run
from compile.targets.table import builder, target_named
from depth.artifact.manifest import Artifact, Manifest
from depth.artifact.steps import DecodeYolov8Seg, Do, Letterbox, Normalise
from depth.errors import InputError
from depth.maps.result import FloatArray
from depth.sizes import Size
from depth.steps.letterbox import letterboxed, placed

Figures = dict[str, dict[str, float]]  # by output and name
_BOX = 4
_TINY = 1e-12  # of the largest value; below it there is nothing to compare with


@dataclass(frozen=True)
class Compared:
    """The figures of one test image."""

    image: str
    figures: Figures


def limits_of(step: DecodeYolov8Seg) -> Limits:
    """The largest errors of fp32 that pass, by output and name."""
    return {
        step.detections: {"box_px": 0.25, "score": 1e-3, "coefficient": 1e-3},
        step.prototypes: {"max_rel": 5e-4, "mean_rel": 5e-5},
    }


def probes(
    size: Size, letterbox: Letterbox, normalise: Normalise, real: Sequence[Picture] = ()
) -> list[ParityInput]:
    """Test images as the network sees them: hard cases of another shape, then the photographs."""
    found = []
    for picture in (*hard_cases((size[0], size[1] * 3 // 4)), _colours(size), *real):
        height, width = picture.pixels.shape[:2]
        place = placed((height, width), size)
        image = letterboxed(picture.pixels, place, letterbox, normalise)
        found.append(ParityInput(picture.name, image))
    return found


def _colours(size: Size) -> Picture:
    """Fields of every corner of the colour cube: noise and waves have no saturated areas."""
    corners = np.array([(b, g, r) for b in (0, 255) for g in (0, 255) for r in (0, 255)], np.uint8)
    fields = corners.reshape(2, 4, 3).repeat(size[0] // 2, axis=0).repeat(size[1] // 4, axis=1)
    return Picture("colours", fields)


def reference_of(data: bytes, scratch: Path, ports: Ports) -> tuple[Path, Run]:
    """A copy of the given file, of the bytes that were checked, and the copy in ONNX Runtime."""
    copy = scratch / "given.onnx"
    copy.write_bytes(data)
    return copy, builder(target_named("onnx")).load([copy], ports, "fp32")


def compare(
    step: DecodeYolov8Seg, images: str, reference: Run, run: Run, tests: Sequence[ParityInput]
) -> list[Compared]:
    """Every test image through the given file and the saved program.

    images  the name of the input

    Raises ParityError for numbers that are not finite or of another shape, and if the file answers
    every image alike: agreement would prove nothing.
    """
    pairs = [(reference({images: test.image}), run({images: test.image})) for test in tests]
    for test, (expected, got) in zip(tests, pairs):
        for name in (step.detections, step.prototypes):
            _check(name, test.name, expected[name], got[name])
    names = (step.detections, step.prototypes)
    first = pairs[0][0]
    if all(np.array_equal(first[name], expected[name]) for expected, _ in pairs for name in names):
        raise ParityError(
            "the given file answers every test image alike, so that comparing with it proves "
            "nothing; check the file"
        )
    scales = _Scales.of(step, [expected for expected, _ in pairs])
    return [
        Compared(test.name, _figures(step, scales, expected, got))
        for test, (expected, got) in zip(tests, pairs)
    ]


@dataclass(frozen=True)
class _Scales:
    """What errors are shares of: an image without a thing on it has only tiny coefficients."""

    coefficient: float  # the largest of all test images
    prototype: float
    mean_prototype: float  # of the image where it is largest

    @staticmethod
    def of(step: DecodeYolov8Seg, expected: Sequence[Mapping[str, FloatArray]]) -> _Scales:
        rest = _BOX + len(step.classes)
        coefficients = (np.abs(arrays[step.detections][0, rest:]).max() for arrays in expected)
        prototypes = [np.abs(arrays[step.prototypes]) for arrays in expected]
        return _Scales(
            float(max(coefficients)),
            float(max(array.max() for array in prototypes)),
            float(max(array.mean() for array in prototypes)),
        )


def worst(found: Sequence[Compared]) -> Figures:
    """The largest of each figure, rounded to three digits."""
    return {
        output: {
            name: float(f"{max(each.figures[output][name] for each in found):.3g}")
            for name in names
        }
        for output, names in found[0].figures.items()
    }


def problem_of(measured: Figures, limits: Limits) -> str:
    """What is over its limit, in words, or ""."""
    found = failure(measured, limits) or ""
    return found.replace("the eager network", "the given file")


def _check(name: str, image: str, expected: FloatArray, got: FloatArray) -> None:
    if got.shape != expected.shape:
        raise ParityError(f"the program gives {name} {got.shape}, expected {expected.shape}")
    for what, values in (("given file", expected), ("program", got)):
        if not np.isfinite(values).all():
            raise ParityError(f"the {what} gives {name} that is not finite on {image!r}")


def _figures(
    step: DecodeYolov8Seg,
    scales: _Scales,
    expected: Mapping[str, FloatArray],
    got: Mapping[str, FloatArray],
) -> Figures:
    error, proto = (
        np.abs(got[name].astype(np.float64) - expected[name])[0]
        for name in (step.detections, step.prototypes)
    )
    rest = _BOX + len(step.classes)
    return {
        step.detections: {
            "box_px": float(error[:_BOX].max()),
            "score": float(error[_BOX:rest].max()),
            "coefficient": _share(error[rest:].max(), scales.coefficient),
        },
        step.prototypes: {
            "max_rel": _share(proto.max(), scales.prototype),
            "mean_rel": _share(proto.mean(), scales.mean_prototype),
        },
    }


def _share(error: float, size: float) -> float:
    """Of zeros any error is too large, and stays a finite number."""
    return float(error / max(size, _TINY))


def parts_of(manifest: Manifest) -> tuple[Letterbox, Normalise, DecodeYolov8Seg]:
    """The host steps of instance masks. Raises InputError for an artifact of another kind."""
    steps = {type(step.step): step.step for step in manifest.steps if isinstance(step, Do)}
    found = tuple(steps.get(kind) for kind in (Letterbox, Normalise, DecodeYolov8Seg))
    letterbox, normalise, decode = found
    if not (
        isinstance(letterbox, Letterbox)
        and isinstance(normalise, Normalise)
        and isinstance(decode, DecodeYolov8Seg)
    ):
        raise InputError("its steps are not those of instance masks")
    return letterbox, normalise, decode


def again(artifact: Artifact, given: Path, photographs: Sequence[Picture]) -> Iterator[str]:
    """Measure an artifact against the file that it was made from: lines of a table.

    Raises InputError for another file, ParityError with the last line if a figure is over its
    limit.
    """
    from compile.targets.onnx_file import read_file

    m = artifact.manifest
    file = read_file(given, lambda _: m.programs[0].size)
    if file.sha256 != m.checkpoint.sha256:
        raise InputError(
            f"{given}: is not the file that {artifact.folder} was made from ({m.checkpoint.file}, "
            f"sha256 {m.checkpoint.sha256[:12]}...); name that with --checkpoint"
        )
    letterbox, normalise, step = parts_of(m)
    target = target_named(m.target, m.precision)
    for program in m.programs:
        ports = Ports.of(program)
        paths = [artifact.folder / each.path for each in program.files]
        with TemporaryDirectory() as scratch:
            _, reference = reference_of(file.data, Path(scratch), ports)
        run = builder(target).load(paths, ports, m.precision)
        tests = probes(program.size, letterbox, normalise, photographs)
        found = compare(step, ports.inputs[0], reference, run, tests)
        for each in found:
            for output, numbers in each.figures.items():
                yield f"{program.name}  {each.image:<16} {output:<10} {figures(numbers)}"
        problem = problem_of(worst(found), m.gate.limits)
        if problem:
            raise ParityError(problem)
    yield f"passed: every program is within the limit ({limits_text(m.gate.limits)})"
