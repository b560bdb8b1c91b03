"""What a file must be to give instance masks: the layout of YOLOv8 and YOLO11 segmentation.

One input [1,3,H,W] float32. Two outputs: detections [1,4+C+P,N], and prototypes [1,P,H/4,W/4], with
C classes, P = 32 prototypes and N cells of strides 8, 16 and 32. depth/steps/instances.py reads
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from compile.imported.names import MOST_NAMES, checked_names, parse_names
from compile.targets.onnx_file import OnnxFile, Port
from depth.console import one_line
from depth.errors import InputError
from depth.sizes import Size
from depth.steps.instances import PROTOTYPE_PX, STRIDES, cells_of

PROTOTYPES = 32
_MOST_PX = 2048  # of a side
_BOX = 4
_MOST_LETTERS = 200  # of a licence


@dataclass(frozen=True)
class Contract:
    """What the file gives: (height, width) px, names of its tensors, its classes."""

    size: Size
    images: str
    detections: str
    prototypes: str
    cells: int
    classes: tuple[str, ...]
    licence: str


def contract_of(file: OnnxFile, names: Optional[Sequence[str]] = None) -> Contract:
    """The contract that a file keeps.

    names  of its classes, in place of those in its metadata

    Raises InputError that says what it is instead, and how to export it.
    """
    for problem in _other_kinds(file.metadata):
        raise InputError(problem)
    size = _size(file.inputs)
    detections, prototypes = _outputs(file.outputs, size)
    count = (detections.shape[1] or 0) - _BOX - PROTOTYPES
    classes = checked_names(names) if names else _names(file.metadata.get("names", ""))
    if len(classes) != count:
        raise InputError(
            f"{detections.name} has scores of {count} classes, and {len(classes)} names are given"
        )
    licence = one_line(file.metadata.get("license", "").strip())
    return Contract(
        size,
        file.inputs[0].name,
        detections.name,
        prototypes.name,
        cells_of(size),
        classes,
        licence[:_MOST_LETTERS] or "not stated in the file",
    )


def _other_kinds(metadata: Mapping[str, str]) -> Iterator[str]:
    task = metadata.get("task", "segment")
    if task != "segment":
        yield f"its task is {task!r}: expected a network for segmentation, task 'segment'"
    if metadata.get("end2end", "False").strip().lower() not in ("false", "0", ""):
        yield "it is exported end to end, with another layout of outputs: export it with nms=False"
    stride = metadata.get("stride", str(STRIDES[-1])).strip()
    if stride != str(STRIDES[-1]):
        yield f"its stride is {stride!r}: expected {STRIDES[-1]}"
    for name in ("nms", "dynamic"):
        if f"'{name}': True" in metadata.get("args", ""):
            yield f"it is exported with {name}=True: export it with {name}=False"


def _names(text: str) -> tuple[str, ...]:
    if not text:
        raise InputError(
            "its metadata has no names of classes: give them with --names FILE, one a line"
        )
    return parse_names(text)


def _size(inputs: Sequence[Port]) -> Size:
    if len(inputs) != 1:
        raise InputError(f"it has {len(inputs)} inputs: expected one, [1,3,H,W] float32")
    port = inputs[0]
    if port.dtype != "float32":
        raise InputError(f"its input is {port.dtype}, expected float32: export it with half=False")
    if None in port.shape:
        raise InputError(
            f"its input is {_shape(port)}, expected fixed sides: export it with dynamic=False"
        )
    if len(port.shape) != 4 or port.shape[:2] != (1, 3):
        raise InputError(f"its input is {_shape(port)}, expected [1,3,H,W]: export it with batch=1")
    height, width = (side or 0 for side in port.shape[2:])
    for side in (height, width):
        if side % STRIDES[-1] or not STRIDES[-1] <= side <= _MOST_PX:
            raise InputError(
                f"its input is {_shape(port)}: expected sides that are multiples of {STRIDES[-1]}, "
                f"at most {_MOST_PX}"
            )
    return height, width


def _outputs(outputs: Sequence[Port], size: Size) -> tuple[Port, Port]:
    """Detections and prototypes, told apart by their number of axes."""
    wanted = f"[1,4+classes+32,{cells_of(size)}]"
    expected = f"expected two, {wanted} and [1,32,{size[0] // 4},{size[1] // 4}], float32"
    said = ", ".join(f"{port.name} {_shape(port)} {port.dtype}" for port in outputs[:8])
    found = {len(port.shape): port for port in outputs}
    if len(outputs) != 2 or sorted(found) != [3, 4]:
        raise InputError(f"its outputs are {said}: {expected}")
    detections, prototypes = found[3], found[4]
    small = (1, PROTOTYPES, size[0] // PROTOTYPE_PX, size[1] // PROTOTYPE_PX)
    rows = detections.shape[1] or 0
    fits = detections.shape == (1, rows, cells_of(size)) and prototypes.shape == small
    count = rows - _BOX - PROTOTYPES
    floats = detections.dtype == prototypes.dtype == "float32"
    if not (fits and floats and 0 < count <= MOST_NAMES):
        raise InputError(f"its outputs are {said}: {expected}")
    return detections, prototypes


def _shape(port: Port) -> str:
    return "[" + ",".join("?" if side is None else str(side) for side in port.shape) + "]"
