"""The forecast of precision modes: its errors, its choice, its tables and its command."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Optional

import pytest
import torch

from compile.errors import ParityError, PrecisionError
from compile.lowering.passes import lower
from compile.parity.inputs import parity_inputs
from compile.parity.measure import InputErrors, compare
from compile.precision import forecast as forecast_module
from compile.precision.casts import Casts
from compile.precision.forecast import Forecast, choose, forecasts
from compile.precision.report import PrecisionReport, document
from compile.precision.survey import inputs, survey
from compile.targets import table as targets
from compile.targets.modes import MODES, Mode, mode_named, modes_of
from compile.targets.protocols import Limit
from compile.targets.table import NEURON_PASSES
from depth.family import IMAGENET
from tests.support.compile_command import command
from tests.support.models import DEMO as DEMO_MODEL
from tests.support.models import SIZE, TINY, network

LIMIT = Limit(max_rel=0.1, mean_rel=0.01, max_abs=0.1, mean_abs=0.01)
IMAGES = parity_inputs(DEMO_MODEL, SIZE)


def foreseen(key: str, mean_rel: float, overflow: Optional[str] = None) -> Forecast:
    numbers = {"max_rel": mean_rel, "mean_rel": mean_rel, "abs_rel": mean_rel, "delta1": 1.0}
    results = () if overflow else (InputErrors("x", {"depth": numbers}, 1.0),)
    return Forecast(MODES[key], DEMO_MODEL.outputs, results, overflow)


def mean_of(result: InputErrors) -> float:
    return result.measured["depth"]["mean_rel"] or 0.0


def overflowing() -> Any:
    made = network(TINY)
    made.encoder.blocks[1].mlp.fc1.weight *= 1e6  # type: ignore[union-attr, operator]
    return made


def test_a_forecast_has_an_error_for_each_image_and_less_for_a_finer_type() -> None:
    made = network(TINY)
    modes = [mode_named("inf2", name) for name in ("matmult-bf16", "matmult-fp16", "none")]
    coarse, fine, exact = (found.results for found in forecasts(made, modes, IMAGES))
    assert [result.probe for result in coarse] == [probe.name for probe in IMAGES]
    for by_bf16, by_fp16, by_none in zip(coarse, fine, exact):
        assert mean_of(by_bf16) > 2 * mean_of(by_fp16) > 0
        assert by_none.measured["depth"]["max_rel"] == 0


@pytest.mark.skipif(
    torch.__version__.startswith("1."),
    reason="torch 1.13 gives bfloat16 convolutions of some small maps another shape",
)
def test_casting_everything_comes_close_to_torch_in_bfloat16() -> None:
    made, whole = network(DEMO_MODEL.config), network(DEMO_MODEL.config).to(torch.bfloat16)
    (found,) = forecasts(made, [mode_named("inf2", "all-bf16")], IMAGES[3:])
    image = torch.from_numpy(IMAGES[3].image)
    maps = [{"depth": one[0].float().numpy()} for one in (made(image), whole(image.bfloat16()))]
    measured = compare("x", DEMO_MODEL.outputs, *maps)
    ratio = mean_of(found.results[0]) / mean_of(measured)
    assert 0.5 < ratio < 2


def test_an_overflow_ends_the_forecast_and_names_module_and_image() -> None:
    (found,) = forecasts(overflowing(), [mode_named("inf1", "matmult-fp16")], IMAGES)
    assert found.results == ()
    where = r"range of fp16 in encoder\.blocks\.1\.mlp\.fc1 \(linear\), on .* 'constant'"
    assert re.search(where, found.overflow or "")


def test_a_reference_that_is_not_finite_is_no_precision_problem() -> None:
    made = network(TINY)
    made.decoder.heads["depth"].conv2.bias.fill_(float("nan"))
    with pytest.raises(ParityError, match="reference gives depth that is not finite"):
        forecasts(made, [mode_named("inf2", "none")], IMAGES)


def test_modes_that_round_alike_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[Mode] = []

    class Counted(Casts):
        def __init__(self, made: torch.nn.Module, mode: Mode) -> None:
            runs.append(mode)
            super().__init__(made, mode)

    monkeypatch.setattr(forecast_module, "Casts", Counted)
    steps: list[str] = []
    every = [*modes_of("inf1"), *modes_of("inf2")]
    found = forecasts(network(TINY), every, IMAGES[3:], steps.append)
    assert [one.mode for one in found] == every
    said = [text.partition(", about ")[0] for text in steps]
    assert said == ["float32 reference", *(f"{mode.target} {mode.name}" for mode in runs)]
    assert [bool(re.search(r", about \d+ (s|min) left$", text)) for text in steps] == [
        *(False, False),  # there is nothing to judge by
        *[True] * (len(runs) - 1),
    ]
    by_key = {one.mode.key: one.results for one in found}
    # Exact transposes leave no difference; transposes of what is cast already, neither.
    assert by_key["inf1:matmult"] == by_key["inf1:matmult-bf16"] == by_key["inf2:matmult-bf16"]
    assert by_key["inf1:all"] == by_key["inf1:all-relayout"] == by_key["inf2:all-bf16"]
    assert by_key["inf1:all"] != by_key["inf1:all-io16"]
    assert by_key["inf1:matmult-relayout"] != by_key["inf1:matmult-bf16-relayout"]
    assert (
        len(runs) == forecast_module.runs(every) == 2 * (2 + 2 + 3) + 3
    )  # io16 doubles inf1; inf2 adds tf32 and none


def test_choose_takes_the_fastest_mode_within_the_limit() -> None:
    slow, fast = foreseen("inf1:matmult-fp16", 0.0001), foreseen("inf1:matmult-relayout", 0.009)
    too_coarse = foreseen("inf1:all-relayout", 0.011)
    too_large = foreseen("inf1:all-fp16-relayout", 0, "a value leaves the range of fp16")
    assert choose([slow, fast, too_coarse, too_large], LIMIT) is fast
    assert choose([slow, too_coarse, too_large], LIMIT) is slow


def test_choose_takes_the_nearest_of_modes_that_are_equally_fast() -> None:
    coarse, fine = foreseen("inf1:all-relayout", 0.005), foreseen("inf1:all-fp16-relayout", 0.001)
    assert choose([coarse, fine], LIMIT) is choose([fine, coarse], LIMIT) is fine


def test_choose_prefers_a_mode_to_the_same_with_float16_in_and_out() -> None:
    plain, half = foreseen("inf1:matmult", 0.005), foreseen("inf1:matmult-io16", 0.001)
    assert choose([plain, half], LIMIT) is plain


def test_no_mode_within_the_limit_is_an_error_that_names_the_nearest() -> None:
    lost = foreseen("inf1:all-fp16", 0, "a value leaves the range of fp16 in x (mul)")
    with pytest.raises(PrecisionError, match=r"of inf1 .* nearest is matmult: .* mean_rel 0\.02"):
        choose([lost, foreseen("inf1:matmult", 0.02), foreseen("inf1:all", 0.03)], LIMIT)
    with pytest.raises(PrecisionError, match=r"nearest is all-fp16: a value leaves the range"):
        choose([lost], LIMIT)


def test_a_lowered_network_gets_the_pixels_that_it_normalises_itself() -> None:
    made = network(TINY)
    (pixels,) = inputs(IMAGES[1:2], IMAGENET)
    assert pixels.name == IMAGES[1].name
    assert pixels.image.min() >= -1e-3
    assert 200 < pixels.image.max() <= 255 + 1e-3
    assert inputs(IMAGES, None) == IMAGES
    lowered = lower(made, NEURON_PASSES)(torch.from_numpy(pixels.image))
    torch.testing.assert_close(lowered, made(torch.from_numpy(IMAGES[1].image)))


def test_a_report_says_that_it_is_a_forecast_and_marks_the_choice() -> None:
    (report,) = survey(
        network(TINY), "tiny (untrained)", modes_of("inf2"), NEURON_PASSES, [], LIMIT
    )
    text = report.markdown()
    assert "## tiny (untrained) at 56x70 for inf2" in text
    assert "forecast by rounding on a CPU, not measured on a device" in text
    assert "limit: max_rel 0.1, mean_rel 0.01" in text
    heading, _, *rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert heading.startswith("| mode | rank (1 = fastest) | compiler arguments | max_rel | ")
    assert [row.split(" | ")[0][2:] for row in rows] == [mode.name for mode in modes_of("inf2")]
    assert [row for row in rows if "**chosen**" in row] == [
        row for row in rows if row.startswith(f"| {report.choose().mode.name} |")
    ]
    page = document([report], "the command")
    assert "Nothing here was measured on a Neuron device" in page
    assert "the command" in page
    assert page.endswith(text)


def report_of(*found: Forecast) -> PrecisionReport:
    return PrecisionReport("x", "inf1", SIZE, (), ("scene",), LIMIT, found)


def test_modes_with_the_same_figures_share_the_row_of_the_fastest() -> None:
    report = report_of(
        foreseen("inf1:matmult-fp16", 0.001),
        foreseen("inf1:all-io16", 0.005),
        foreseen("inf1:all", 0.005),
        foreseen("inf1:matmult", 0.0050001),
    )
    _, _, *rows = [line for line in report.markdown().splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0][2:] for row in rows] == ["all", "matmult-fp16"]
    assert rows[0].endswith("| **chosen** | all-io16 (4), matmult (7) |")
    assert rows[1].endswith("| within |  |")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            [foreseen("inf1:all", 0.005), foreseen("inf1:matmult-fp16", 0.001)],
            "`auto` takes `all`: the fastest mode within the limit, by rank. The default of "
            "`build` is `matmult-fp16`, within the limit: ranks are not measured, and a default "
            "must suit models without a forecast. Mean error of depth: `all` 5.00e-03, "
            "`matmult-fp16` 1.00e-03.",
        ),
        (
            [foreseen("inf1:all", 0.005), foreseen("inf1:matmult-fp16", 0, "out of range")],
            "The default of `build` is `matmult-fp16`, over the limit: ",
        ),
        (
            [foreseen("inf1:all", 0.02), foreseen("inf1:matmult-fp16", 0.001)],
            "`auto` takes `matmult-fp16`: the fastest mode within the limit, by rank.\n",
        ),
        ([foreseen("inf1:all", 0.005)], "\nForecast within the limit: `all`.\n"),
    ],
)
def test_a_report_says_what_auto_takes_and_why_it_is_not_the_default(
    found: list[Forecast], said: str
) -> None:
    assert said in report_of(*found).markdown()


def test_a_report_without_a_usable_mode_says_why() -> None:
    (report,) = survey(
        overflowing(), "tiny", modes_of("inf1"), (), [], Limit(1e-9, 1e-9, 1e-9, 1e-9)
    )
    text = report.markdown()
    assert "Not usable: no precision mode of inf1 is forecast within max_rel 1e-09" in text
    (lost,) = (line for line in text.splitlines() if "| - | - | - | - | a value leaves" in line)
    assert lost.startswith("| all-fp16-relayout | 1 | ")
    assert "range of fp16 in encoder.blocks.1.mlp.fc1" in lost
    assert "| all-fp16-relayout-io16 (2), all-fp16 (3), all-fp16-io16 (4), " in lost
    assert "over the limit |" in text
    assert "**chosen**" not in text
    assert "- lowering: none" in text
    with pytest.raises(PrecisionError):
        report.choose()


DEMO = ("precision", "--model", "demo", "--size", "28x42", "--images", "no-such-folder")


@pytest.mark.long
def test_the_command_prints_a_table_for_each_size_and_target(
    tmp_path: Path,
) -> None:
    page = tmp_path / "precision.md"
    arguments = (*DEMO, "--size", "28x28", "--target", "inf2", "--checkpoint", "untrained")
    printed = command(*arguments, "--out", page)
    assert printed.code == 0
    headings = [line for line in printed.out.splitlines() if line.startswith("## ")]
    assert headings == [f"## demo (untrained) at {size} for inf2" for size in ("28x42", "28x28")]
    assert "- lowering: position, normalisation" in printed.out
    assert len(printed.err.splitlines()) == 2 * (2 + forecast_module.runs(modes_of("inf2")))
    text = page.read_text(encoding="utf-8")
    assert text.endswith(printed.out)
    assert list(tmp_path.iterdir()) == [page]
    assert f"python -m compile {' '.join(arguments)} --out {page}\n" in text


def test_the_command_fails_if_no_mode_is_within_the_limit_but_shows_the_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(targets, "BF16", Limit(1e-9, 1e-9, 1e-9, 1e-9))
    printed = command(*DEMO, "--no-lowering")
    assert printed.code == 1
    assert "| all-relayout | 1 |" in printed.out
    assert "- lowering: none" in printed.out
    assert "no precision mode of inf1 is forecast within" in printed.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--model", "vit"), "no model 'vit'"),
        (("--size", "28x40"), "width 40 px: must be a multiple of 14"),
        (("--checkpoint", "untrained", "--checkpoint", "untrained"), "2 checkpoints for 1 models"),
        (("--out", "no-such-folder/page.md"), "no-such-folder: no such folder to write page.md"),
    ],
)
def test_a_wrong_value_fails_before_anything_runs(arguments: tuple[str, ...], why: str) -> None:
    ended = command("precision", "--images", "no-such-folder", *arguments)
    assert ended.code == 2
    assert why in ended.line()
    assert ended.err.startswith("python -m compile: ")
