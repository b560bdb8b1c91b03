"""What preflight says of each operator: the form that fails, and the one that passes."""

from __future__ import annotations

import warnings
from typing import Any, Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compile.graph import read_graph
from compile.preflight.check import judged
from compile.preflight.findings import DOUBTFUL, ON_CHIP, REFUSED
from compile.preflight.inf1 import inf1_operators
from compile.preflight.report import Row
from tests.support.traced import Calls

X = torch.linspace(-1, 1, 192).reshape(1, 3, 8, 8)
Function = Callable[[Tensor], Any]


def rows(function: Function, target: str, x: Tensor = X) -> list[Row]:
    module = function if isinstance(function, nn.Module) else Calls(function)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of these are not fit to be traced, and say so
        traced = torch.jit.trace(module, x, check_trace=False)
    return judged(read_graph(traced), target)


def verdict(function: Function, operator: str, target: str = "inf1") -> tuple[str, str]:
    """Of all its nodes; they must agree."""
    ((found, remedy),) = {
        (row.verdict, row.remedy) for row in rows(function, target) if row.operator == operator
    }
    return found, remedy


@torch.jit.script
def branches(x: Tensor) -> Tensor:
    if bool(x.sum() > 0):
        return x + 1
    return x * 2


@torch.jit.script
def loops(x: Tensor) -> Tensor:
    for _ in range(int(x.max())):
        x = x + 1
    return x


class Own(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004 - torch's signature
        return x * 2


class Lstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 4)

    def forward(self, x: Tensor) -> Any:
        return self.lstm(x[0])[0]


def resize(mode: str, side: int, **kwargs: Any) -> Function:
    return lambda x: F.interpolate(x, size=(side, side), mode=mode, **kwargs)


def write_number(x: Tensor) -> Tensor:
    y = x.clone()
    y[..., 0] = 1.0
    return y


def write_tensor(x: Tensor) -> Tensor:
    y = x.clone()
    y[:, 1:] = x[:, :2]
    return y


def integers(x: Tensor) -> Tensor:
    return x.to(torch.int64).clamp(0, 3)


def norm(power: float) -> Function:
    return lambda x: torch.ops.aten.norm.ScalarOpt_dim(x, power, [1], False)


def pool3d(output: int) -> Function:
    return lambda x: F.max_pool3d(x[None], 2, return_indices=True)[output]


def average(padding: int) -> Function:
    return lambda x: F.avg_pool2d(x, 3, 2, padding, ceil_mode=True)


ALIGNED = resize("bilinear", 16, align_corners=True)
BICUBIC = resize("bicubic", 16, align_corners=False)

INF1: list[tuple[Function, str, str, str]] = [
    (ALIGNED, "aten::upsample_bilinear2d", REFUSED, "pass `resize`"),
    (resize("bilinear", 16), "aten::upsample_bilinear2d", DOUBTFUL, "scale 2 only"),
    (resize("bilinear", 12), "aten::upsample_bilinear2d", REFUSED, "no scale but a whole number"),
    (BICUBIC, "aten::upsample_bicubic2d", REFUSED, "pass `position`"),
    (resize("nearest", 12), "aten::upsample_nearest2d", DOUBTFUL, "a whole number"),
    (resize("nearest", 16), "aten::upsample_nearest2d", ON_CHIP, ""),
    (lambda x: x.var(-1), "aten::var", REFUSED, "mean and mul"),
    (lambda x: x.std(-1), "aten::std", REFUSED, "sqrt"),
    (lambda x: x.tan(), "aten::tan", REFUSED, "not on the list"),
    (lambda x: x[:, torch.tensor([0, 2])], "aten::index", REFUSED, "index_select"),
    (lambda x: x.gather(1, integers(x)[:, :1]), "aten::gather", REFUSED, "index_select"),
    (lambda x: F.embedding(integers(x), x[0, 0]), "aten::embedding", REFUSED, "index_select"),
    (lambda x: x.clone().mul_(2), "aten::mul_", REFUSED, "aten::mul without the underscore"),
    (lambda x: (x + 1).relu_(), "aten::relu_", ON_CHIP, ""),
    (lambda x: (x + 1)[:, 0].relu_(), "aten::relu_", REFUSED, "a part of a tensor"),
    (write_number, "aten::fill_", REFUSED, "a part of a tensor"),
    (write_tensor, "aten::copy_", REFUSED, "a part of a tensor"),
    (lambda x: (x + 1).copy_(x), "aten::copy_", DOUBTFUL, "a published log"),
    (
        lambda x: x.clone().index_put_((torch.tensor([0]),), x),
        "aten::index_put_",
        REFUSED,
        "cat of the parts",
    ),
    (lambda x: F.pad(x, (1, 1)), "aten::pad", DOUBTFUL, "constant_pad_nd"),
    (lambda x: x.reshape(x.shape[0], -1), "aten::size", DOUBTFUL, "a Python int"),
    (lambda x: torch.where(x > 0)[0], "aten::where", REFUSED, "all three arguments"),
    (lambda x: torch.where(x > 0, x, -x), "aten::where", ON_CHIP, ""),
    (lambda x: F.one_hot(integers(x)), "aten::one_hot", REFUSED, "num_classes"),
    (lambda x: F.one_hot(integers(x), 4), "aten::one_hot", DOUBTFUL, "int32"),
    (lambda x: x.topk(x.shape[-1] // 2)[0], "aten::topk", REFUSED, "k must be fixed"),
    (lambda x: x.topk(2)[0], "aten::topk", ON_CHIP, ""),
    (lambda x: integers(x).max(0)[0], "aten::max", REFUSED, "dimension 0"),
    (lambda x: integers(x).min(0)[0], "aten::min", REFUSED, "dimension 0"),
    (lambda x: x.max(1)[1], "aten::max", DOUBTFUL, "indices"),
    (lambda x: x.max(0)[0], "aten::max", ON_CHIP, ""),
    (lambda x: x.argmax(1), "aten::argmax", DOUBTFUL, "indices"),
    (lambda x: x.argmin(1), "aten::argmin", DOUBTFUL, "indices"),
    (norm(3), "aten::norm", REFUSED, "p must be"),
    (norm(2), "aten::norm", ON_CHIP, ""),
    (norm(float("inf")), "aten::norm", ON_CHIP, ""),
    (average(1), "aten::avg_pool2d", REFUSED, "ceil_mode together with padding"),
    (average(0), "aten::avg_pool2d", ON_CHIP, ""),
    (pool3d(1), "aten::max_pool3d_with_indices", REFUSED, "indices are not used"),
    (pool3d(0), "aten::max_pool3d_with_indices", ON_CHIP, ""),
    (lambda x: F.gelu(x, approximate="tanh"), "aten::gelu", DOUBTFUL, "exact form"),
    (F.gelu, "aten::gelu", ON_CHIP, ""),
    (Lstm(), "aten::lstm", DOUBTFUL, "LSTM patterns"),
    (Own.apply, "prim::PythonOp", REFUSED, "always runs on the CPU"),
    (branches, "prim::CallFunction", REFUSED, "write it into forward"),
    (branches, "prim::If", REFUSED, "before tracing"),
    (loops, "prim::Loop", REFUSED, "before tracing"),
    (lambda x: (x.double() * 2).float(), "aten::mul", DOUBTFUL, "make it float32"),
    (lambda x: (integers(x) * 2).float(), "aten::mul", DOUBTFUL, "make it int32"),
    (lambda x: (x > 0).bitwise_not(), "aten::bitwise_not", DOUBTFUL, "a published log"),
    (lambda x: x.long(), "program output", REFUSED, "cast to int32 outside"),
    (lambda x: x * 0.5, "aten::mul", ON_CHIP, ""),  # a Python number, float64 in the graph
]

INF2: list[tuple[Function, str, str, str]] = [
    (ALIGNED, "aten::upsample_bilinear2d", REFUSED, "pass `resize`"),
    (resize("bilinear", 16), "aten::upsample_bilinear2d", REFUSED, "a custom call"),
    (BICUBIC, "aten::upsample_bicubic2d", REFUSED, "pass `position`"),
    (lambda x: x.nonzero(), "aten::nonzero", REFUSED, "depends on the data"),
    (lambda x: torch.where(x > 0)[0], "aten::where", REFUSED, "depends on the data"),
    (lambda x: x[x > 0], "aten::index", REFUSED, "depends on the data"),
    (lambda x: x[:, torch.tensor([0, 2])], "aten::index", ON_CHIP, ""),
    (branches, "prim::If", REFUSED, "before tracing"),
    (loops, "prim::Loop", REFUSED, "before tracing"),
    (Own.apply, "prim::PythonOp", DOUBTFUL, "not in the graph"),
    (lambda x: (x.double() * 2).float(), "aten::mul", REFUSED, "no float64"),
    (lambda x: x.double(), "program output", REFUSED, "cast to float32 outside"),
    (lambda x: torch.cat(x.chunk(2, -1)), "aten::chunk", DOUBTFUL, "take slices"),
    (lambda x: torch.cat(x.split(2, -1)), "aten::split", DOUBTFUL, "take slices"),
    (lambda x: torch.cat(x.split([3, 5], -1), -1), "aten::split_with_sizes", DOUBTFUL, "slices"),
    (lambda x: x.var(-1), "aten::var", ON_CHIP, ""),
    (lambda x: x.reshape(x.shape[0], -1), "aten::size", ON_CHIP, ""),
]


def ids(cases: list[tuple[Function, str, str, str]]) -> list[str]:
    return [f"{operator}-{found}" for _, operator, found, _ in cases]


@pytest.mark.parametrize(("function", "operator", "expected", "words"), INF1, ids=ids(INF1))
def test_inf1_judges_operators_and_their_arguments(
    function: Function, operator: str, expected: str, words: str
) -> None:
    found, remedy = verdict(function, operator)
    assert found == expected
    assert words in remedy
    assert bool(remedy) == (expected != ON_CHIP)


@pytest.mark.parametrize(("function", "operator", "expected", "words"), INF2, ids=ids(INF2))
def test_inf2_judges_what_xla_does_not_lower(
    function: Function, operator: str, expected: str, words: str
) -> None:
    found, remedy = verdict(function, operator, "inf2")
    assert found == expected
    assert words in remedy


@pytest.mark.parametrize(
    ("target", "dtype", "passes"),
    [
        ("inf1", torch.int64, False),
        ("inf1", torch.float64, False),
        ("inf1", torch.int32, True),
        ("inf2", torch.float64, False),
        ("inf2", torch.int64, True),
    ],
    ids=str,
)
def test_the_input_of_a_program_has_a_type_that_the_device_takes(
    target: str, dtype: torch.dtype, passes: bool
) -> None:
    found = rows(lambda x: x.to(torch.float32) + 1, target, torch.zeros(2, 3, dtype=dtype))
    inputs = [row for row in found if row.operator == "program input"]
    assert bool(inputs) != passes
    assert [row.places for row in inputs] == ([] if passes else [{"input 0": 1}])


def test_preflight_finds_a_wide_constant_under_its_name() -> None:
    module = Calls(lambda x: x)
    module.register_buffer("table", torch.ones(3, 1, 1, dtype=torch.float64))
    module.function = lambda x: (x + module.table).float()
    (row,) = (one for one in rows(module, "inf1") if one.operator == "prim::GetAttr")
    assert (row.verdict, row.places) == (DOUBTFUL, {"table": 1})


def test_what_fails_comes_first_and_the_rest_by_count() -> None:
    found = rows(lambda x: F.relu(F.relu(x) + 1).var(-1).abs(), "inf1")
    assert [(row.operator, row.count) for row in found] == [
        ("aten::var", 1),
        ("aten::relu", 2),
        ("aten::abs", 1),
        ("aten::add", 1),
    ]


def test_every_operator_with_conditions_has_a_case_here() -> None:
    known = inf1_operators()
    packed = {"aten::_pack_padded_sequence", "aten::_pad_packed_sequence"}  # with aten::lstm
    assert known.conditional - packed <= {operator for _, operator, _, _ in INF1}


def test_the_list_of_operators_does_not_contradict_itself() -> None:
    known = inf1_operators()
    assert len(known.supported) > 150
    assert not known.supported & known.conditional
    assert not (known.supported | known.conditional) & (known.seen_compiled | set(known.instead))
    assert all(name.startswith(("aten::", "prim::")) for name in known.supported)
