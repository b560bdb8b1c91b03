"""What the page saves, and what it says when something goes wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import cv2
import numpy as np
import pytest

from depth.maps.exr import decode_exr
from depth.maps.files import read_depth
from tests.support.exported import accessor, read_glb
from tests.support.web import Opened, app, values_of
from tests.web.conftest import SAMPLES

pytestmark = pytest.mark.web

NOT_LOADED = "Failed to load resource"  # Chromium's own line for every refused request


def saved(opened: Opened, kind: str, folder: Path) -> Path:
    with opened.page.expect_download() as download:
        opened.page.click(f"[data-format={kind}]")
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_downloads_have_the_same_values(street: Opened, tmp_path: Path) -> None:
    values = values_of(street.url, SAMPLES / "street.jpg")
    npy = saved(street, "npy", tmp_path)
    assert npy.name == "street.npy"
    np.testing.assert_array_equal(np.load(npy), values)
    np.testing.assert_array_equal(
        decode_exr(saved(street, "exr", tmp_path).read_bytes())[0], values
    )
    png = saved(street, "png", tmp_path)
    assert cv2.imread(str(png), cv2.IMREAD_UNCHANGED).dtype == np.uint16
    span = values.max() - values.min()
    np.testing.assert_allclose(read_depth(png).depth.values, values, atol=span / 60000)
    document, binary = read_glb(saved(street, "glb", tmp_path).read_bytes())
    about = document["asset"]["extras"]
    assert about["provenance"]["model"] == "demo"
    assert about["field_of_view"]["assumed"] is True
    z = -accessor(document, binary, 0)[:, 2]
    assert (z.min(), z.max()) == (pytest.approx(1, abs=0.01), pytest.approx(10, abs=0.2))


def test_a_text_file_is_refused_in_plain_words(street: Opened, tmp_path: Path) -> None:
    street.expected = (NOT_LOADED,)
    wrong = tmp_path / "letter.txt"
    wrong.write_text("Dear depth")
    street.page.set_input_files("#file", wrong)
    street.page.locator("#error").wait_for()
    assert street.text("#error").startswith("letter.txt: not an image")
    assert street.page.get_attribute("#error", "role") == "alert"
    # What is on screen is still the first image, and so is what is saved.
    values = values_of(street.url, SAMPLES / "street.jpg")
    np.testing.assert_array_equal(np.load(saved(street, "npy", tmp_path)), values)
    street.give(SAMPLES / "hall.jpg")
    assert not street.page.locator("#error").is_visible()


def test_a_service_that_is_gone_is_said(artifacts: Path, opened: Callable[..., Opened]) -> None:
    with app(artifacts) as (url, process):
        found = opened(at=url)
        found.give(SAMPLES / "street.jpg")
        process.terminate()
        process.wait(60)
        found.expected = (NOT_LOADED,)
        found.page.set_input_files("#file", SAMPLES / "hall.jpg")
        found.page.locator("#error").wait_for()
        assert "The service does not answer" in found.text("#error")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (
            {"status": 429, "json": {"error": "32 requests wait"}, "headers": {"Retry-After": "3"}},
            "32 requests wait. Try again in 3 s.",
        ),
        ({"status": 502, "body": "<html>"}, "The service answered with status 502."),
        ({"status": 200, "body": "PK"}, "damaged NPZ"),
    ],
)
def test_other_refusals_are_said(
    opened: Callable[..., Opened], answer: dict[str, Any], text: str
) -> None:
    found = opened()
    found.expected = (NOT_LOADED,)
    found.page.route("**/v1/depth?*", lambda route: route.fulfill(**answer))
    found.page.set_input_files("#file", SAMPLES / "street.jpg")
    found.page.locator("#error").wait_for()
    assert text in found.text("#error")
    assert not found.page.locator("#result").is_visible()


def test_a_token_is_asked_for_and_sent(opened: Callable[..., Opened]) -> None:
    """A service that wants one is played here; its own tests are elsewhere."""
    found = opened()
    found.expected = (NOT_LOADED,)
    seen: list[str] = []

    def guarded(route: Any) -> None:
        seen.append(route.request.headers.get("authorization", ""))
        if seen[-1] == "Bearer open sesame":
            route.continue_()
        else:
            route.fulfill(status=401, json={"error": "a token is needed"})

    found.page.route("**/v1/depth?*", guarded)
    found.page.set_input_files("#file", SAMPLES / "street.jpg")
    found.page.fill("#token", "open sesame")
    found.page.click("#token-form button")
    found.done()
    assert seen == ["", "Bearer open sesame"]


def test_only_the_last_image_is_shown(opened: Callable[..., Opened]) -> None:
    """An answer that comes late, for an image that was replaced meanwhile, changes nothing."""
    found = opened()
    held: list[Any] = []

    def hold_the_first(route: Any) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    found.page.route("**/v1/depth?*", hold_the_first)
    found.page.set_input_files("#file", SAMPLES / "hall.jpg")
    found.page.locator("#status").filter(has_text="hall.jpg").wait_for()
    found.give(SAMPLES / "stairs.jpg")
    stairs = values_of(found.url, SAMPLES / "stairs.jpg")
    found.page.fill("#probe-x", "5")
    found.page.fill("#probe-y", "7")
    assert float(found.text("#value").split()[0]) == pytest.approx(stairs[7, 5], rel=1e-6)
