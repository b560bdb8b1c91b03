"""Every Python block of the pages runs as it stands, or the page says that it is not run here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from depth.maps.result import Map
from tests.support.page_blocks import RUN
from tests.support.places import ROOT

NOT_RUN = "Not run here"
PAGES = sorted(
    path
    for pattern in ("*.md", "*/*.md", "*/*/*.md")
    for path in ROOT.glob(pattern)
    if not any(part.startswith((".", "input_", "output_")) for part in path.relative_to(ROOT).parts)
)
_BLOCK = re.compile(r"(?:^(?P<before>[^\n]+)\n\n)?^```python\n(?P<code>.*?)^```$", re.M | re.S)


def blocks() -> list[Any]:
    """Page, the line before, and code of every Python block."""
    return [
        pytest.param(
            path.relative_to(ROOT).as_posix(),
            found["before"] or "",
            found["code"],
            id=f"{path.relative_to(ROOT)}-{index}",
        )
        for path in PAGES
        for index, found in enumerate(_BLOCK.finditer(path.read_text(encoding="utf-8")))
    ]


@pytest.mark.parametrize(("page", "before", "code"), blocks())
@pytest.mark.long
def test_a_python_block_runs_or_is_marked(
    page: str, before: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if NOT_RUN in before:
        compile(code, page, "exec")
        return
    known = [how for line, how in RUN.items() if line in code]
    assert known, f"{page}: say in RUN how to run this block, or write '{NOT_RUN}' above it"
    needs, promise = known[0]
    monkeypatch.chdir(tmp_path)
    names = needs()
    exec(compile(code, page, "exec"), names)
    promise(names)


def test_the_test_sees_every_block_and_runs_most_of_them() -> None:
    fences = sum(path.read_text(encoding="utf-8").count("```python\n") for path in PAGES)
    found = [block.values for block in blocks()]
    assert len(found) == fences > 4
    for line in RUN:
        assert any(line in code for _page, _before, code in found), f"no page has {line} any more"
    assert sum(NOT_RUN in before for _page, before, _code in found) <= 2


def test_only_metres_have_a_unit() -> None:
    values = np.ones((1, 1), np.float32)
    assert (Map(values, "metres").unit, Map(values, "relative_depth").unit) == ("m", None)
