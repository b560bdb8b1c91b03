"""The forecast of a model of scenes: each output by its own error, each stage by itself."""

from __future__ import annotations

import pytest

from compile.precision.cli import _views_of
from compile.precision.report import PrecisionReport
from compile.precision.scenes import Scenes
from compile.precision.survey import survey
from compile.targets.modes import mode_named
from compile.targets.table import BF16, NEURON_PASSES
from depth.errors import InputError
from depth.family import model_named
from depth_anything_3.anyview.network import AnyViewNetwork
from tests.support.compile_command import command
from tests.support.da3_views import TINY_MODEL, network

SIZE = (28, 42)
STAGES = ["prefix", "cameras", "trunk", "head"]
MODES = [mode_named("inf2", name) for name in ("none", "matmult-bf16", "all-bf16")]


def made(logit: float = 1.0) -> AnyViewNetwork:
    """`logit`: about which that of depth is; its value is e to the power of it."""
    found = network()
    found.decoder.depth.conv2.bias.data[0] = logit
    found.fix_size(*SIZE)
    return found


def report_of(plain: AnyViewNetwork, *names: str, views: int = 2) -> PrecisionReport:
    modes = [mode_named("inf1", name) for name in names] or MODES
    scenes = Scenes(views, rays=not names)
    (report,) = survey(plain, "tiny", modes, NEURON_PASSES, [], BF16, scenes=scenes)
    return report


@pytest.fixture(name="report", scope="module")
def report_fixture() -> PrecisionReport:
    return report_of(made())


def test_a_mode_that_rounds_nothing_has_no_error_and_others_have(report: PrecisionReport) -> None:
    exact, products, everything = (one.measured or {} for one in report.forecasts)
    assert set(exact) == {"depth", "confidence", "cameras", "rays", "ray_confidence"}
    for name in ("depth", "confidence", "rays"):
        errors = [figures[name]["max_rel"] or 0 for figures in (exact, products, everything)]
        assert errors[0] < 1e-4 < errors[1]
        assert errors[2] > 1e-3
    turned = [found["cameras"]["rotation_deg"] or 0 for found in (exact, products, everything)]
    assert turned[0] < 0.01 < min(turned[1:])


def test_each_stage_has_its_share(report: PrecisionReport) -> None:
    assert [share.stage for share in report.shares] == [*STAGES, "head_rays"]
    assert {share.forecast.mode.name for share in report.shares} == {"all-bf16"}
    by_stage = {share.stage: share.forecast.measured or {} for share in report.shares}
    assert (by_stage["head"]["cameras"]["rotation_deg"] or 0) < 0.01  # made before the head
    assert (by_stage["trunk"]["cameras"]["rotation_deg"] or 0) > 0.01
    text = report.markdown()
    assert "## tiny, scenes of 2 at 28x42 for inf2" in text
    assert "| stage that rounds |" in text
    assert "rotation_deg" in text
    assert "field_of_view_deg" in text


@pytest.mark.long
def test_a_larger_logit_has_a_larger_relative_error_after_the_exponential() -> None:
    errors = []
    for logit in (0.3, 9.3):
        (share,) = (one for one in report_of(made(logit), "all").shares if one.stage == "head")
        errors.append(share.forecast.measured["depth"]["mean_rel"])
    assert errors[1] > 5 * errors[0]


def test_a_value_out_of_range_puts_the_mode_out_and_is_found_by_name() -> None:
    plain = made(logit=11.5)  # e to the power of it is more than float16 holds
    (found,) = report_of(plain, "all-fp16").forecasts
    assert found.measured is None
    assert "a value leaves the range of fp16 in depth (exp)" in (found.overflow or "")
    assert "on test scene " in (found.overflow or "")


def test_views_are_of_models_of_scenes() -> None:
    assert _views_of(TINY_MODEL, [], rays=False) == [2]
    assert _views_of(TINY_MODEL, [4, 1, 4], rays=False) == [4, 1]
    assert _views_of(model_named("vits"), [], rays=False) == [None]
    with pytest.raises(InputError, match="--views and --rays are for models of scenes"):
        _views_of(model_named("vits"), [2], rays=False)
    assert command("precision", "--model", "vits", "--views", "2").code == 2
