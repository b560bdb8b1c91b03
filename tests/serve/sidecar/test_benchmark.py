"""The table of sizes: a row for each image and model, written between the page's marks only."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.sidecar import LIMIT_S, ONCE, README, WORKER, Sample, table, write
from tests.support.places import ROOT


def samples() -> list[Sample]:
    ways = [*(f"once: {how}" for how in ONCE), *(f"worker: {how}" for how in WORKER)]
    return [
        Sample(image, "stub", way, [place + 9.0, place + 1.0, place + 0.0], 2_000_000)
        for image in ("640×480", "1920×1080")
        for place, way in enumerate(ways)
    ]


def test_a_row_has_medians_and_the_share_of_the_limit() -> None:
    heading, _, *rows = table(samples())
    assert len(rows) == 2
    assert rows[0].split(" | ")[2:] == [
        *("1.00", "2.00", "3.00", "4.00", "5.00", "2.0", "2.0", f"{100 / LIMIT_S:.1f} % |"),
    ]
    assert heading.count("|") == rows[0].count("|")


def test_only_what_is_between_the_marks_changes(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("a\n<!-- table: begin -->\nold\n<!-- table: end -->\nb\n", encoding="utf-8")
    for _ in range(2):
        write(page, ["x", "y"])
    assert page.read_text(encoding="utf-8") == (
        "a\n<!-- table: begin -->\n\nx\ny\n\n<!-- table: end -->\nb\n"
    )
    page.write_text("no marks", encoding="utf-8")
    with pytest.raises(ValueError, match="one pair of marks"):
        write(page, [])


def test_the_page_has_the_table() -> None:
    text = (ROOT / README).read_text(encoding="utf-8")
    assert text.count("| 3840×2160 |") >= 2
