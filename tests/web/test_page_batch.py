"""The tab for many images: progress, files, refusals."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Callable
from urllib.request import urlopen

import numpy as np
import pytest

from tests.support.web import Opened, values_of
from tests.web.conftest import SAMPLES

pytestmark = pytest.mark.web


def begun(opened: Opened, images: list[Path], *formats: str) -> None:
    opened.page.click("#tab-many")
    opened.page.set_input_files("#many input[type=file]", images)
    for box in opened.page.locator("#many input[type=checkbox]").all():
        box.set_checked(box.get_attribute("value") in formats)
    opened.page.click("#many [data-start]")


def test_many_images_become_files(opened: Callable[..., Opened], tmp_path: Path) -> None:
    found = opened()
    wrong = tmp_path / "letter.jpg"
    wrong.write_text("Dear depth")
    begun(found, [SAMPLES / "street.jpg", SAMPLES / "hall.jpg", wrong], "npy", "png")
    said = found.page.locator("#many [data-progress]")
    said.filter(has_text="2 of 3 done, 1 failed: done").wait_for(timeout=120_000)
    assert found.page.locator("#many progress").evaluate("bar => bar.value / bar.max") == 1
    rows = found.page.locator("#many tbody tr")
    assert rows.count() == 3
    assert "not an image" in rows.filter(has_text="letter.jpg").inner_text()
    street = rows.filter(has_text="street.jpg")
    assert {link.inner_text() for link in street.locator("a").all()} == {"JSON", "NPY", "PNG"}
    with urlopen(found.url + street.locator("a", has_text="NPY").get_attribute("href")) as answer:
        values = np.load(io.BytesIO(answer.read()))
    np.testing.assert_array_equal(values, values_of(found.url, SAMPLES / "street.jpg"))
    found.page.click("#many [data-cancel]")
    assert rows.count() == 0


@pytest.mark.parametrize(
    ("count", "formats", "text"),
    [(0, ("png",), "Choose images first."), (1, (), "Choose at least one format.")],
)
def test_an_empty_job_is_refused(
    opened: Callable[..., Opened], count: int, formats: tuple[str, ...], text: str
) -> None:
    found = opened()
    begun(found, [SAMPLES / "street.jpg"] * count, *formats)
    assert found.text("#error") == text
