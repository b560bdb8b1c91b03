"""What only the stand-in for torch-neuron has: a fallback to the CPU, and its log."""

from __future__ import annotations

import importlib
import subprocess
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.support.networks import TINY, network
from tests.support.neuron_standin import (
    SMALL,
    Standin,
    example,
    needs_torch_1_13,
    pictures,
    small,
    standin_fixture,
)

__all__ = ["standin_fixture"]
pytestmark = needs_torch_1_13


@pytest.fixture(name="sdk")
def sdk_fixture(standin: Standin) -> Any:
    assert standin.calls() == []
    return importlib.import_module("torch_neuron")


def kinds(program: Any) -> list[str]:
    return [node.kind() for node in program.inlined_graph.nodes()]


def test_the_import_makes_torch_neuron(sdk: Any) -> None:
    assert torch.neuron is sdk  # type: ignore[attr-defined]
    assert sdk.trace is torch.neuron.trace  # type: ignore[attr-defined]


def test_what_is_not_on_the_chip_stays_on_the_cpu_without_a_word(sdk: Any) -> None:
    """And with the default threshold most of the decoder, which could run on the chip, too."""
    made = network(TINY, SMALL)
    found = kinds(sdk.trace(made, example()))
    assert found.count("neuron::forward_v2_1") == 1
    assert found.count("aten::upsample_bilinear2d") == 5
    assert found.count("aten::_convolution") == 13
    found = kinds(sdk.trace(made, example(), single_fusion_ratio_threshold=1.0))
    assert found.count("neuron::forward_v2_1") == 6
    assert found.count("aten::upsample_bilinear2d") == 5
    assert found.count("aten::_convolution") == 0


def test_a_partition_that_is_too_small_stays_on_the_cpu(
    sdk: Any, caplog: pytest.LogCaptureFixture
) -> None:
    found = kinds(sdk.trace(small(), example(), minimum_segment_size=2))
    assert "neuron::forward_v2_1" in found
    with caplog.at_level("WARNING", "Neuron"):
        found = kinds(sdk.trace(small(), example(), minimum_segment_size=99, fallback=False))
    assert "neuron::forward_v2_1" not in found
    assert "No operator is placed on Neuron runtime; returning a CPU trace" in caplog.text


class Sorted(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return F.relu(torch.sort(images + 1.0, dim=1)[0] + 1.0)


def test_without_fallback_an_unsupported_operator_is_an_attribute_error(sdk: Any) -> None:
    assert "aten::sort" in kinds(sdk.trace(Sorted().eval(), example(), minimum_segment_size=1))
    with pytest.raises(AttributeError, match="aten::sort"):
        sdk.trace(Sorted().eval(), example(), fallback=False)


def test_the_sdk_swallows_a_compiler_failure_by_default(
    sdk: Any, standin: Standin, caplog: pytest.LogCaptureFixture
) -> None:
    standin.behave("ok", "error")
    program = sdk.trace(network(TINY, SMALL), example(), single_fusion_ratio_threshold=1.0)
    assert kinds(program).count("neuron::forward_v2_1") == 5
    assert "falling back to native python function call" in caplog.text
    assert "Compile command returned: 1" in caplog.text
    standin.behave("error")
    with pytest.raises(RuntimeError, match="No operations were successfully"):
        sdk.trace(small(), example())
    standin.behave("error")
    with pytest.raises(subprocess.SubprocessError, match="neuron-cc failed with the following"):
        sdk.trace(small(), example(), fallback=False)


def test_the_sdk_raises_a_timeout_even_with_fallback(sdk: Any, standin: Standin) -> None:
    standin.behave("slow")
    with pytest.raises(subprocess.TimeoutExpired):
        sdk.trace(small(), example(), compiler_timeout=0.3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.int64])
def test_the_sdk_refuses_wide_types_at_the_door(sdk: Any, dtype: torch.dtype) -> None:
    class Add(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + x

    with pytest.raises(ValueError, match="Unsupported dtype"):
        sdk.trace(Add().eval(), torch.zeros(1, 2, dtype=dtype))


def test_programs_have_one_shape_and_run_on_the_device_only(sdk: Any, standin: Standin) -> None:
    program, images = sdk.trace(small(), example()), pictures()
    with pytest.raises(RuntimeError, match="TorchScript interpreter"):
        program(images)
    standin.plug_in()
    assert torch.allclose(program(images), small()(images), rtol=0.05, atol=1.0)
    with pytest.raises(RuntimeError, match="TorchScript interpreter"):
        program(pictures(batch=2))
    dynamic = sdk.trace(small(), example(2), dynamic_batch_size=True)
    assert torch.allclose(dynamic(pictures(3)), small()(pictures(3)), rtol=0.05, atol=1.0)


def test_analysis_goes_by_name_and_misses_arguments(sdk: Any) -> None:
    found = sdk.analyze_model(network(TINY, SMALL), example_inputs=[example()])
    assert found["percent_supported"] == 100.0
    assert found["operators"]["aten::upsample_bilinear2d"] == 5
    assert sdk.analyze_model(Sorted().eval(), [example()])["unsupported_operators"] == [
        "aten::sort"
    ]
    assert "aten::linear" in sdk.get_supported_operations()
