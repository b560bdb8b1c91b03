"""`plan` as users type it."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from compile.plan.cli import plan
from depth.errors import InputError
from tests.support.places import ROOT

app = typer.Typer()
app.command()(plan)


def printed(*arguments: str) -> str:
    return CliRunner().invoke(app, arguments, catch_exceptions=False).stdout


def test_one_plan_shows_its_alternatives() -> None:
    text = printed("--size", "518x686", "--batch", "2", "--split", "--price-per-hour", "1")
    assert text.startswith("## vits at 518x686 on inf1.xlarge: estimated, never measured")
    assert "| split, batch 2 |" in text
    assert "$1 per hour" in text
    assert text.count("(best)") == 1


def test_several_plans_are_a_line_each() -> None:
    text = printed("--model", "vits", "--model", "vitb", "--instance", "inf2.xlarge")
    assert "| vits at 518x518 | inf2.xlarge |" in text
    assert "| vitb at 518x518 | inf2.xlarge |" in text


def test_a_metric_model_has_the_plan_of_its_size() -> None:
    metric = printed("--model", "vits-metric-indoor")
    assert metric.replace("vits-metric-indoor", "vits") == printed("--model", "vits")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--model", "vitx"), "no model 'vitx'; choose from demo"),
        (("--size", "518"), "expected HEIGHTxWIDTH"),
        (
            ("--price-per-hour", "1", "--instance", "inf1.xlarge", "--instance", "inf1.2xlarge"),
            "is the price of one instance",
        ),
    ],
)
def test_a_wrong_value_is_an_error_of_ours(arguments: tuple[str, ...], text: str) -> None:
    with pytest.raises(InputError, match=text):
        printed(*arguments)


@pytest.mark.long
def test_the_page_has_what_its_commands_print() -> None:
    """Every command on the page is followed by its output."""
    page = (ROOT / "docs/plan.md").read_text(encoding="utf-8")
    found = 0
    for part in page.split("```bash\npython -m compile plan")[1:]:
        command, _, rest = part.partition("\n```\n")
        text = printed(*command.replace("\\\n", " ").split())
        assert rest.lstrip("\n").startswith(text.rstrip("\n")), command
        found += 1
    assert found >= 3
