"""A request for inference, whatever transport it came by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from depth.errors import InputError
from depth.maps.result import OUTPUT_SIZES
from depth.steps.focal import FocalAsked
from serve.jobs.stage import Asked
from serve.service.v2.tensors import Tensor, shown

IMAGE, ENCODED = "image", "encoded"  # names of the inputs
VERSION = "1"  # of every model

_OF_REQUEST = ("focal_px", "fov_deg", "output_size", "timeout")
# What clients send that changes no answer of ours, or only how HTTP and streams carry it.
_IGNORED = ("priority", "binary_data_output", "triton_enable_empty_final_response")
_MOST_US = 1 << 53  # of a timeout
_SEQUENCE = ("sequence_id", "sequence_start", "sequence_end")


@dataclass(frozen=True)
class InferRequest:
    """A request for inference.

    model       name of the model
    version     "" or VERSION; others are unknown
    id          comes back with the answer
    outputs     names of maps that are wanted; none: all
    parameters  focal_px, fov_deg, output_size, timeout in microseconds
    """

    model: str
    version: str
    inputs: Sequence[Tensor]
    outputs: Sequence[str] = ()
    id: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


def asked_of(parameters: Mapping[str, Any], limit_s: float) -> Asked:
    """What the parameters of a request ask for its images; they have to begin within `limit_s`.

    Raises InputError for a parameter that is unknown or has no such value.
    """
    for name, value in parameters.items():
        if name in _SEQUENCE and value:
            raise InputError(f"parameter {name}: this model has no sequences; leave it out")
        if name not in (*_OF_REQUEST, *_IGNORED, *_SEQUENCE):
            known = ", ".join(_OF_REQUEST)
            raise InputError(f"parameter {name[:100]!r} is unknown, expected one of {known}")
    focal_px, fov_deg = (_number(parameters, name) for name in ("focal_px", "fov_deg"))
    focal = None if focal_px is None and fov_deg is None else FocalAsked(focal_px, fov_deg)
    output_size = parameters.get("output_size")
    if output_size is not None and output_size not in OUTPUT_SIZES:
        raise InputError(
            f"parameter output_size is {shown(output_size)}, expected {' or '.join(OUTPUT_SIZES)}"
        )
    timeout_us = parameters.get("timeout", 0)
    if type(timeout_us) is not int or timeout_us < 0:
        raise InputError(
            f"parameter timeout is {shown(timeout_us)}, expected microseconds as a whole number"
        )
    timeout_s = min(timeout_us, _MOST_US) / 1e6
    return Asked(focal, output_size, min(timeout_s or limit_s, limit_s))


def check_output_parameters(output: str, parameters: Mapping[str, Any]) -> None:
    """Raises InputError for what no output can have: classes, a place in shared memory."""
    for name in parameters:
        if name == "binary_data":
            continue
        if name == "classification":
            raise InputError(f"output {output}: depth has no classes; leave out {name}")
        _check_no_memory(f"output {output}", name)


def check_input_parameters(tensor: str, parameters: Mapping[str, Any]) -> None:
    """Raises InputError for what no input can have: a place in shared memory."""
    for name in parameters:
        if name not in ("binary_data_size", "content_type"):
            _check_no_memory(f"input {tensor}", name)


def _check_no_memory(where: str, parameter: str) -> None:
    if parameter.startswith("shared_memory"):
        raise InputError(
            f"{where}: shared-memory regions are not supported; send data in the request"
        )
    raise InputError(f"{where}: parameter {parameter[:100]!r} is unknown")


def _number(parameters: Mapping[str, Any], name: str) -> Optional[float]:
    """A number, or its text: some clients can send no floating-point parameter."""
    value = parameters.get(name)
    if value is None:
        return None
    if type(value) in (int, float, str):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    raise InputError(f"parameter {name} is {shown(value)}, expected a number")
