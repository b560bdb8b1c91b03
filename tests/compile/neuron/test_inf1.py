"""What only target `inf1` has: metrics, a log of what is on the chip, and a fallback to the CPU."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import Tensor, nn

from compile.errors import BuildError, CompilerError
from tests.support.neuron_standin import needs_torch_1_13, small
from tests.support.neuron_targets import Resized, Target, record_of, target_fixture

__all__ = ["target_fixture"]
pytestmark = [needs_torch_1_13, pytest.mark.parametrize("target", ["inf1"], indirect=True)]


def test_the_record_holds_the_compilers_own_numbers(target: Target) -> None:
    record = record_of(target.build(small()))
    (graph,) = record.subgraphs
    assert graph.name == "0"
    assert graph.compile_s == pytest.approx(6696.4, abs=0.1)
    assert graph.ddr_bytes == 619188008
    assert graph.matmul_ops == 4261799321600
    assert graph.pe_utilisation_percent == pytest.approx(77.06, abs=0.01)
    assert graph.spilled_bytes == 138240000
    work = Path(record.work_folder)
    assert (work / "0/all_metrics.csv").is_file()
    assert "percent compiled = 100.0%" in (work / "trace.log").read_text()


def test_a_listed_operator_that_is_refused_all_the_same(target: Target) -> None:
    with pytest.raises(BuildError, match="align_corners=True is not yet implemented.*preflight"):
        target.build(Resized("bilinear"))


def test_an_operator_left_behind_without_a_word_fails_the_build(
    target: Target, tmp_path: Path
) -> None:
    target.swallow()
    with pytest.raises(
        BuildError, match="on the CPU at every image: 1 aten::upsample_bicubic2d in res"
    ):
        target.build(Resized("bicubic"))
    assert not list(tmp_path.glob("a.*"))


def test_a_swallowed_compiler_failure_fails_the_build(target: Target) -> None:
    target.swallow()
    target.behave(*["ok", "error"] * 4)
    with pytest.raises(CompilerError, match=r"_NeuronGraph\$\d+ fell back to the CPU") as caught:
        target.build(Resized("bicubic"))
    assert caught.value.cause == "crash"
    assert "with code 1: should not have any PF conflict; sub-graphs" in str(caught.value)


def test_spills_are_a_warning_of_the_record(target: Target) -> None:
    target.behave("spills")
    (warning,) = record_of(target.build(small())).warnings
    assert "sub-graph 0: too many spills" in warning


def test_the_refusal_of_an_output_is_one_line(target: Target) -> None:
    class Index(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.argmax(1)

    with pytest.raises(BuildError, match="cannot be compiled: ValueError: Unsupported dtype"):
        target.build(Index())
