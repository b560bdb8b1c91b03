"""Preflight of whole networks."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Optional

import pytest
import torch

from compile.errors import TargetError
from compile.lowering.passes import lower, with_variants
from compile.parts import stages_of
from compile.preflight import check as check_module
from compile.preflight.check import check, preflight
from compile.preflight.costs import Costs, costs
from compile.preflight.report import PreflightReport, Row, all_together
from compile.targets.modes import mode_named
from compile.targets.table import NEURON_PASSES
from depth.family import ModelConfig
from depth.network.base import Network
from tests.support.models import SIZE, TINY, TINY_GIANT, network

NATIVE = (518, 518)  # where the position embedding is not resampled
RESIZES = [
    "decoder.merge.fuse3.upsample",
    "decoder.merge.fuse2.upsample",
    "decoder.merge.fuse1.upsample",
    "decoder.merge.fuse0.upsample",
    "decoder.upsample",
]


@pytest.fixture(autouse=True)
def costs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The costs of passes follow from model and size: count them once for all tests here."""
    monkeypatch.setattr(check_module, "costs", remembered_costs)


_COSTS: dict[tuple[object, ...], Costs] = {}


def remembered_costs(network: Network, passes: Sequence[str]) -> Costs:
    key = (network.model.name, network.fixed_size, tuple(passes))
    if key not in _COSTS:
        _COSTS[key] = costs(network, passes)
    return _COSTS[key]


@functools.cache
def report_of(
    size: tuple[int, int] = SIZE,
    target: str = "inf1",
    passes: Optional[tuple[str, ...]] = NEURON_PASSES,
) -> PreflightReport:
    return preflight(network(TINY, size), torch.zeros(1, 3, *size), target, passes)


def failing(report: PreflightReport) -> dict[str, list[str]]:
    return {row.operator: list(row.places) for row in report.rows if not row.passed}


@pytest.mark.parametrize(
    ("target", "passes"),
    [
        ("inf1", ()),
        ("inf2", ()),
        ("inf1", ("resize=conv1x1",)),
        ("inf1", ("attention_blocks=2",)),
    ],
    ids=str,
)
def test_a_lowered_network_leaves_nothing_for_the_cpu(target: str, passes: tuple[str, ...]) -> None:
    report = report_of(target=target, passes=with_variants(NEURON_PASSES, passes))
    assert (report.passed, report.left_for_cpu, report.problems()) == (True, 0, [])
    assert sum(row.count for row in report.rows) > 100
    assert report.nodes > sum(row.count for row in report.rows)


@pytest.mark.parametrize(
    ("config", "max_depth_m"), [(TINY, 20.0), (TINY_GIANT, None)], ids=["metric", "swiglu"]
)
def test_every_kind_of_network_passes(config: ModelConfig, max_depth_m: Optional[float]) -> None:
    made = network(config, SIZE, max_depth_m)
    assert preflight(made, torch.zeros(1, 3, *SIZE), "inf1").left_for_cpu == 0


@pytest.mark.parametrize("target", ["inf1", "inf2"])
def test_the_published_form_fails_at_every_resize(target: str) -> None:
    report = report_of(target=target, passes=None)
    assert failing(report) == {
        "aten::upsample_bilinear2d": RESIZES,
        "aten::upsample_bicubic2d": ["encoder.position"],
    }
    assert report.problems() == [
        "6 operators would not run on the chip: aten::upsample_bilinear2d, aten::upsample_bicubic2d"
    ]


def test_on_the_native_grid_the_position_embedding_is_not_resampled() -> None:
    assert failing(report_of(NATIVE, passes=None)) == {"aten::upsample_bilinear2d": RESIZES}


def test_each_pass_is_needed_for_what_it_removes() -> None:
    without_resize = tuple(name for name in NEURON_PASSES if name != "resize")
    assert failing(report_of(passes=without_resize)) == {"aten::upsample_bilinear2d": RESIZES}


def test_the_table_names_path_and_remedy() -> None:
    report = report_of(passes=None)
    (line,) = (one for one in report.text().splitlines() if "upsample_bilinear2d  " in one)
    assert line.split("  ")[:1] == ["aten::upsample_bilinear2d"]
    assert " 5 " in line
    assert " refused " in line
    assert ", ".join(RESIZES) in line
    assert line.endswith("two constant matrix products; the pass `resize` does it")
    (row,) = (one for one in report.markdown().splitlines() if "| aten::upsample_bilinear2d" in one)
    assert [cell.strip() for cell in row.split("|")[1:6]] == [
        "aten::upsample_bilinear2d",
        "5",
        "refused",
        ", ".join(RESIZES),
        next(found.remedy for found in report.rows),
    ]


def test_likes_on_the_chip_share_a_place() -> None:
    places = {f"encoder.blocks.{i}.attn": 4 for i in range(12)}
    stages = {"decoder.pyramid.project.0": 1, "decoder.pyramid.project.1": 1}
    places.update({"decoder": 3, **stages, "": 1})
    cells = Row("aten::reshape", "on chip", "", places).cells()
    assert cells[3] == "encoder.blocks.*.attn (48), decoder (3) and 2 more"
    cells = Row("aten::reshape", "refused", "", {"decoder.reduce": 2, "": 1}).cells()
    assert cells[3] == "decoder.reduce (2), the network"


def test_a_report_says_what_was_counted_and_leaves_the_network_as_it_was() -> None:
    made = network(TINY)
    before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    report = preflight(made, torch.zeros(2, 3, *SIZE), "inf1")
    assert all(torch.equal(before[name], tensor) for name, tensor in made.state_dict().items())
    assert json.loads(json.dumps(asdict(report)))["program"] == "56x70-b2"  # for report.json
    text = report.text()
    assert text.startswith("56x70-b2 for inf1: passes\n")
    assert report.work is not None
    assert report.work.macs["resize"] > 0
    assert f"added by the passes: {report.work.costs.extra_percent:+.1f} %" in text
    assert (report.footprint.input_bytes, report.footprint.output_bytes) == (47040, 15680)
    for words in (
        "estimated for mode",
        "only the compiler knows",
        "largest: encoder.",
        "per image",
    ):
        assert words in text
    assert report.markdown().startswith("## 56x70-b2 for inf1: passes\n\n- operators: ")


def test_preflight_checks_the_stages_of_a_split_network_apart() -> None:
    (_, encoder), (_, decoder) = stages_of(lower(network(TINY), NEURON_PASSES), split=True)
    tokens = torch.zeros(1, 20, 4 * TINY.embed_dim)
    reports = [
        check(encoder, (torch.zeros(1, 3, *SIZE),), "inf1", "56x70-b1-encoder"),
        check(decoder, (tokens,), "inf1", "56x70-b1-decoder", mode_named("inf1", "all")),
    ]
    assert [(one.program, one.passed) for one in reports] == [
        ("56x70-b1-encoder", True),
        ("56x70-b1-decoder", True),
    ]
    assert "mode all:" in reports[1].text()
    assert len(all_together(reports).footprints) == 2


def test_preflight_refuses_a_target_that_is_no_device() -> None:
    with pytest.raises(TargetError, match="'onnx' is not one of Neuron's; choose from inf1, inf2"):
        report_of(target="onnx")
