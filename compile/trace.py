"""A network becomes a graph of tensor operations, with no tracer warning tolerated.

A tracer warning means that a number was frozen into the graph that may differ for another image.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.jit import TracerWarning  # type: ignore[attr-defined]

from compile.errors import BuildError
from compile.targets.protocols import Part
from depth.errors import first_line

OPSET = 17  # ONNX: the first with LayerNormalization, the last that torch 1.13 exports


def trace(network: nn.Module, examples: Sequence[Tensor]) -> torch.jit.ScriptModule:
    """Trace a specialised network at the examples' shapes. Raises BuildError if the trace warns."""
    with _strict_tracing():
        # The parity gate compares the saved file with the eager network; a second comparison of
        # the trace alone would only cost time.
        return torch.jit.trace(network, tuple(examples), check_trace=False)  # type: ignore[no-untyped-call]


def export_onnx(part: Part, path: Path) -> None:
    """Export to ONNX, with inputs and outputs called as the stage calls them.

    Raises BuildError if the trace warns or the export fails.
    """
    with _strict_tracing():
        # Remarks on padding: torch 2.8 leaves one slice unfolded, 1.13 guesses one shape.
        for remark in ("Constant folding - Only steps=1", "The shape inference of prim::Constant"):
            warnings.filterwarnings("ignore", remark, UserWarning)
        # The exporter by tracing is the only one that both torch versions have; 2.8 deprecates it.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            torch.onnx.export(
                part.module,
                part.examples,
                str(path),
                opset_version=OPSET,
                input_names=list(part.ports.inputs),
                output_names=list(part.ports.outputs),
            )
        except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
            raise BuildError(f"ONNX export failed: {first_line(error)}") from error


@contextmanager
def _strict_tracing() -> Iterator[None]:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error", TracerWarning)
        try:
            yield
        except (TracerWarning, SystemError) as error:
            # Raised where C code asks a tensor for a number, the warning comes out as the cause of
            # a SystemError.
            warning = error if isinstance(error, TracerWarning) else error.__cause__
            if not isinstance(warning, TracerWarning):
                raise
            raise BuildError(
                f"the network is not traceable at a fixed size: {warning}"
            ) from warning
