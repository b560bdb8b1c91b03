"""What a file must be to give instance masks: the layout of YOLOv8 and YOLO11 segmentation.

One input [1,3,H,W] float32. Two outputs: detections [1,4+C+P,N], and prototypes [1,P,H/4,W/4], with
C classes, P prototypes and N cells of strides 8, 16 and 32. depth/steps/instances.py reads them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from compile.imported.names import MOST_NAMES, checked_names, parse_names
from compile.targets.onnx_file import OnnxFile, Port
from depth.console import one_line
from depth.errors import InputError
from depth.sizes import Size, size_text
from depth.steps.instances import PROTOTYPE_PX, STRIDES, cells_of

_MOST_PROTOTYPES = 256
_CHANNELS = 3
_MOST_PX = 2048  # of a side
_BOX = 4
_MOST_LETTERS = 200  # of a licence
_IMGSZ = re.compile(r"\[(\d{1,5}), (\d{1,5})\]")
# Newer versions of Ultralytics keep an end-to-end head with nms=False, and older ones without nms.
_WITHOUT_NMS = "export it without nms, and with end2end=False if your version knows that"


@dataclass(frozen=True)
class Contract:
    """What the file gives: (height, width) px, names of its tensors, its classes."""

    size: Size
    images: str
    detections: str
    prototypes: str
    count: int  # of prototypes
    cells: int
    classes: tuple[str, ...]
    licence: str


def open_size(asked: Optional[Size], metadata: Mapping[str, str]) -> Optional[Size]:
    """(height, width) px for an input that leaves them open: as asked for, else by the metadata.

    Raises InputError for a network of another kind, or for sides that no network of this kind has.
    """
    for problem in _other_kinds(metadata):
        raise InputError(problem)
    if asked:
        _check_sides(asked, f"--size {size_text(asked)}")
        return asked
    sides = _IMGSZ.fullmatch(metadata.get("imgsz", "").strip())
    size = (int(sides[1]), int(sides[2])) if sides else None
    return size if size and _fits(size) else None


def contract_of(
    file: OnnxFile, names: Optional[Sequence[str]] = None, size: Optional[Size] = None
) -> Contract:
    """The contract that a file keeps, once `open_size` has looked at its metadata.

    names  of its classes, in place of those in its metadata
    size   (height, width) px that it has to have

    Raises InputError that says what it is instead, and how to export it.
    """
    found = _size(file.inputs)
    if size not in (None, found):
        raise InputError(f"its sides are fixed, {size_text(found)}: leave --size out")
    detections, prototypes = _outputs(file.outputs, found)
    number = prototypes.shape[1] or 0
    count = (detections.shape[1] or 0) - _BOX - number
    classes = checked_names(names) if names else _names(file.metadata.get("names", ""))
    if len(classes) != count:
        raise InputError(
            f"{detections.name} has scores of {count} classes, and {len(classes)} names are given"
        )
    licence = one_line(file.metadata.get("license", "").strip())
    return Contract(
        found,
        file.inputs[0].name,
        detections.name,
        prototypes.name,
        number,
        cells_of(found),
        classes,
        licence[:_MOST_LETTERS] or "not stated in the file",
    )


def _other_kinds(metadata: Mapping[str, str]) -> Iterator[str]:
    task = metadata.get("task", "segment")
    if task != "segment":
        yield f"its task is {task!r}: expected a network for segmentation, task 'segment'"
    if metadata.get("end2end", "False").strip().lower() not in ("false", "0", ""):
        yield f"it is exported end to end, with another layout of outputs: {_WITHOUT_NMS}"
    stride = metadata.get("stride", str(STRIDES[-1])).strip()
    if stride != str(STRIDES[-1]):
        yield f"its stride is {stride!r}: expected {STRIDES[-1]}"
    if "'nms': True" in metadata.get("args", ""):
        yield f"it is exported with nms=True: {_WITHOUT_NMS}"


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
    said = f"its input is {_shape(port)}"
    if port.dtype != "float32":
        raise InputError(f"its input is {port.dtype}, expected float32: export it with half=False")
    if len(port.shape) == 4 and port.shape[1] != _CHANNELS:
        raise InputError(f"{said}, expected [1,3,H,W]: only networks for RGB are accepted")
    if None in port.shape:
        raise InputError(
            f"{said}, expected fixed sides: give them, such as --size 640x640, or export it with "
            "dynamic=False"
        )
    if len(port.shape) != 4 or port.shape[0] != 1:
        raise InputError(f"{said}, expected [1,3,H,W]: export it with batch=1")
    size = (port.shape[2] or 0, port.shape[3] or 0)
    _check_sides(size, said)
    return size


def _check_sides(size: Size, said: str) -> None:
    if not _fits(size):
        raise InputError(
            f"{said}: expected sides that are multiples of {STRIDES[-1]}, at most {_MOST_PX}"
        )


def _fits(size: Size) -> bool:
    return all(side % STRIDES[-1] == 0 and STRIDES[-1] <= side <= _MOST_PX for side in size)


def _outputs(outputs: Sequence[Port], size: Size) -> tuple[Port, Port]:
    """Detections and prototypes, told apart by their number of axes."""
    cells = cells_of(size)
    expected = (
        f"expected two, [1,4+C+P,{cells}] for C classes and [1,P,{size[0] // PROTOTYPE_PX},"
        f"{size[1] // PROTOTYPE_PX}], float32"
    )
    said = ", ".join(f"{port.name} {_shape(port)} {port.dtype}" for port in outputs[:8])
    found = {len(port.shape): port for port in outputs}
    if len(outputs) != 2 or sorted(found) != [3, 4]:
        raise InputError(f"its outputs are {said}{_instead(outputs, cells)}: {expected}")
    detections, prototypes = found[3], found[4]
    rows, count = detections.shape[1] or 0, prototypes.shape[1] or 0
    small = (1, count, size[0] // PROTOTYPE_PX, size[1] // PROTOTYPE_PX)
    fits = detections.shape == (1, rows, cells) and prototypes.shape == small
    few = 0 < count <= _MOST_PROTOTYPES and 0 < rows - _BOX - count <= MOST_NAMES
    floats = detections.dtype == prototypes.dtype == "float32"
    if not (fits and few and floats):
        raise InputError(f"its outputs are {said}{_instead(outputs, cells)}: {expected}")
    return detections, prototypes


def _instead(outputs: Sequence[Port], cells: int) -> str:
    """What other known networks have such outputs, in words, or ""."""
    shapes = sorted((port.shape for port in outputs), key=len)
    if len(shapes) == 1:
        return " (of a network that finds boxes only)"
    if len(shapes[0]) != 3:
        return ""
    if shapes[0][1] == 3 * cells:
        return " (the layout of YOLOv5 and YOLOv7)"
    if shapes[0][1] == cells:
        return " (with both axes of the detections exchanged)"
    if (shapes[0][2] or 0) < (shapes[0][1] or 0) < cells:
        return f" (chosen boxes; {_WITHOUT_NMS})"
    return ""


def _shape(port: Port) -> str:
    return "[" + ",".join("?" if side is None else str(side) for side in port.shape) + "]"
