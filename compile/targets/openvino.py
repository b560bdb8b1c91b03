"""Target `openvino`: OpenVINO IR, for CPUs."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compile.errors import BuildError
from compile.targets.protocols import Arrays, Change, Part, Ports, Run
from depth.errors import first_line
from depth.maps.result import FloatArray

# Else the import alone forks a process that reports to the makers' analytics, on every run.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
import openvino as ov  # noqa: E402

# int8: of the layers that stay float.
_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32", "int8-bf16": "bf16"}


def runs_natively(precision: str) -> bool:
    """Whether this CPU has the arithmetic; OpenVINO silently takes float32 where it has not."""
    return _HINTS[precision] != "bf16" or "BF16" in ov.Core().get_property(
        "CPU", "OPTIMIZATION_CAPABILITIES"
    )


def calibrated_here(precision: str) -> str:
    """int8 with its float layers in bf16 where this CPU has bf16."""
    mixed = "int8-bf16"
    return mixed if runs_natively(mixed) else precision


def build(part: Part, stem: Path, precision: str) -> list[Path]:
    """Export, convert, and save `stem.xml` and `stem.bin`; weights stay float32.

    By way of ONNX: OpenVINO's own reading of a torch trace does not load under torch 1.13, and
    gives the same graph where it does. Raises BuildError if this CPU cannot prove the precision.
    """
    _check_native(precision)
    return _converted(part, stem, lambda graph: graph)


def build_quantised(part: Part, stem: Path, change: Change) -> list[Path]:
    """As `build`, with the graph changed before it is saved."""
    return _converted(part, stem, change)


def _converted(part: Part, stem: Path, change: Change) -> list[Path]:
    with converted(part) as graph:
        return _saved(change(graph), stem)


def _saved(graph: Any, stem: Path) -> list[Path]:
    entry, weights = (stem.parent / f"{stem.name}.{suffix}" for suffix in ("xml", "bin"))
    ov.save_model(graph, entry, compress_to_fp16=False)
    return [entry, weights]


@contextmanager
def converted(part: Part) -> Iterator[Any]:
    """A part as OpenVINO's graph. Raises BuildError, also for what OpenVINO raises inside."""
    from compile.trace import export_onnx  # loads torch, which an imported file does without

    with tempfile.TemporaryDirectory() as scratch:
        exported = Path(scratch) / "network.onnx"
        export_onnx(part, exported)
        with _explained():
            yield ov.Core().read_model(exported)


def import_file(given: Path, stem: Path) -> list[Path]:
    """Convert a file that somebody else exported; weights stay as they are. Raises BuildError.

    Operators are called by their order: OpenVINO counts on from graph to graph, so that the same
    file would give other bytes the next time.
    """
    with _explained():
        graph = ov.Core().read_model(given)
        for number, operator in enumerate(graph.get_ordered_ops()):
            operator.set_friendly_name(f"{operator.get_type_name()}_{number}")
        return _saved(graph, stem)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise BuildError(f"OpenVINO could not convert the network: {first_line(error)}") from error


def load(files: Sequence[Path], ports: Ports, precision: str) -> Run:
    """Compile the saved IR for this CPU at the precision that serving will use."""
    _check_native(precision)
    try:
        return load_graph(files[0], ports, precision)
    except RuntimeError as error:
        raise BuildError(f"OpenVINO could not load {files[0]}: {first_line(error)}") from error


def load_graph(graph: Any, ports: Ports, precision: str) -> Run:
    """Compile a graph, or the file of a graph. Raises RuntimeError."""
    compiled = ov.Core().compile_model(
        graph, "CPU", {"INFERENCE_PRECISION_HINT": _HINTS[precision]}
    )

    def run(arrays: Arrays) -> dict[str, FloatArray]:
        found = compiled(ports.given(arrays))
        return {name: found[compiled.output(name)].copy() for name in ports.outputs}

    return run


def _check_native(precision: str) -> None:
    if not runs_natively(precision):
        raise BuildError(
            f"this CPU has no {precision}: the numbers would be those of float32, and prove "
            f"nothing about {precision}; use --precision fp32, or compile on a CPU with AVX-512 "
            "and bf16"
        )


def flags(precision: str) -> tuple[str, ...]:
    return (f"INFERENCE_PRECISION_HINT={_HINTS[precision]}",)


def versions() -> dict[str, str]:
    import torch

    return {**runtime_versions(), "torch": torch.__version__}


def runtime_versions() -> dict[str, str]:
    return {"openvino": ov.__version__}
