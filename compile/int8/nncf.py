"""Precision `int8` of target `openvino`: post-training quantisation by NNCF.

Works on a graph that compile/targets/openvino.py has read. What has no weights always stays float:
in int8 attention products are no better for it and break up the fused attention of OpenVINO, and
NNCF itself leaves normalisation and softmax alone.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from compile.errors import BuildError
from compile.int8.graph import has_weights, module_of, products
from compile.int8.layers import is_part
from compile.targets.protocols import Inputs
from depth.errors import first_line
from depth.maps.result import FloatArray

_OTHERS = ("ConvolutionBackpropData", "Interpolate")


@dataclass(frozen=True)
class Method:
    """What was chosen by measurement: docs/int8.md, tests/benchmarks/int8.py."""

    # Else sums of two 8-bit products overflow their 16 bits on CPUs without VNNI, silently, and the
    # gate on one machine would say nothing about another.
    overflow_fix: str = "ENABLE"
    # NNCF's own choice, means over the images, cuts off what is nearest in half of them.
    ranges: str = "MINMAX"
    smooth_quant: float = 0.3  # how much of an outlier channel's size the weights take over
    bias_correction: bool = False  # it changes nothing here but the time to build
    attention: bool = False  # products of activations alone

    @property
    def text(self) -> str:
        return ",".join(f"{name}:{value}" for name, value in asdict(self).items())


METHOD = Method()


def flags() -> tuple[str, ...]:
    return (f"nncf=preset:MIXED,model:TRANSFORMER,{METHOD.text}",)


def quantised(
    graph: Any, inputs: Inputs, float_layers: Sequence[str], method: Method = METHOD
) -> Any:
    """The graph with FakeQuantize in front of its layers and their weights in int8.

    A graph that is all float stays as it is. Raises BuildError if NNCF fails.
    """
    layers = list(products(graph))
    left = [
        node.get_friendly_name()
        for node in layers
        if is_part(module_of(node), float_layers) or not (method.attention or has_weights(node))
    ]
    if len(left) == len(layers):
        return graph
    images = list(inputs())
    with _quiet():
        nncf = _nncf()
        try:
            return _by_nncf(nncf, graph, images, left, method)
        except Exception as error:  # its own share no base but Exception
            raise BuildError(
                f"NNCF could not quantise the network: {first_line(error)}; use --precision fp32"
            ) from error


def _by_nncf(
    nncf: Any, graph: Any, images: Sequence[dict[str, FloatArray]], left: list[str], method: Method
) -> Any:
    ranges = nncf.quantization.range_estimator.RangeEstimatorParametersSet
    advanced = nncf.AdvancedQuantizationParameters(
        overflow_fix=nncf.OverflowFix[method.overflow_fix],
        activations_range_estimator_params=getattr(ranges, method.ranges),
        smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=method.smooth_quant),
        disable_bias_correction=not method.bias_correction,
    )
    return nncf.quantize(
        graph,
        nncf.Dataset(images),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(images),
        model_type=nncf.ModelType.TRANSFORMER,
        ignored_scope=nncf.IgnoredScope(names=left, types=list(_OTHERS), validate=False),
        advanced_parameters=advanced,
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars on stdout, which is for results, and no remarks of what NNCF pulls in."""
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    logging.getLogger("nncf").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _nncf() -> Any:
    """NNCF, imported on use, without what it has for torch.

    That part takes seconds to import and can put wrappers around torch; a graph of OpenVINO needs
    none of it.
    """
    # Else it reports to its makers' analytics.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    sys.modules.setdefault("nncf.torch", None)  # type: ignore[arg-type]
    try:
        import nncf
        import nncf.quantization.range_estimator
    except ImportError as error:
        raise BuildError(
            f"NNCF does not load ({first_line(error)}); run `make setup-int8`"
        ) from error
    return nncf
