"""The page in narrow windows, in the dark, with large images, with assistive software, and docs."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, Callable
from urllib.request import urlopen

import cv2
import numpy as np
import pytest

from tests.support.web import Opened, values_of
from tests.web.conftest import SAMPLES

pytestmark = pytest.mark.web

AXE = "AXE_CORE"  # names a folder with axe.min.js, as `npm install axe-core` makes it
SERIOUS = ("serious", "critical")
WIDTHS = {"narrow": 360, "wide": 1280}


def serious(page: Any) -> list[str]:
    """What axe-core finds on the page, by its own measure of what matters."""
    script = Path(os.environ.get(AXE, "")) / "axe.min.js"
    if not script.is_file():
        pytest.skip(f"set {AXE} to node_modules/axe-core of `npm install axe-core`")
    page.evaluate(script.read_text(encoding="utf-8"))
    found = page.evaluate("() => axe.run()")["violations"]
    return [
        f"{each['id']}: {node['target']}"
        for each in found
        if each["impact"] in SERIOUS
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_axe_finds_nothing_serious(opened: Callable[..., Opened], scheme: str, width: int) -> None:
    found = opened(viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert serious(found.page) == []
    found.give(SAMPLES / "street.jpg")
    assert serious(found.page) == []
    found.page.check("input[value=surface]")
    assert serious(found.page) == []
    found.page.click("#tab-many")
    assert serious(found.page) == []
    found.page.goto(f"{found.url}/docs")
    found.page.locator("#status").filter(has_text="paths").wait_for()
    assert serious(found.page) == []


def test_axe_would_find_a_picture_without_words(opened: Callable[..., Opened]) -> None:
    found = opened()
    found.page.evaluate("() => document.body.append(new Image())")
    assert serious(found.page) == ["image-alt: ['body > img']"]


def test_a_narrow_window_needs_no_sideways_scrolling(opened: Callable[..., Opened]) -> None:
    found = opened(viewport={"width": 360, "height": 740})
    found.give(SAMPLES / "street.jpg")
    width = "() => document.scrollingElement.scrollWidth"
    for mode in ("over", "beside", "surface"):
        found.page.check(f"input[value={mode}]")
        assert found.page.evaluate(width) <= 360, mode
    found.page.click("#tab-many")
    assert found.page.evaluate(width) <= 360
    found.page.goto(f"{found.url}/docs")
    found.page.locator("#status").filter(has_text="paths").wait_for()
    assert found.page.evaluate(width) <= 360


def test_dark_mode_follows_the_system(opened: Callable[..., Opened]) -> None:
    corner = {
        scheme: opened(color_scheme=scheme).pixels("body")[-2, 2] for scheme in ("light", "dark")
    }
    assert corner["light"].min() > 240
    assert corner["dark"].max() < 40


def test_a_4k_image_stays_responsive(opened: Callable[..., Opened], tmp_path: Path) -> None:
    small = cv2.imread(str(SAMPLES / "street.jpg"))
    image = tmp_path / "4k.jpg"
    cv2.imwrite(str(image), cv2.resize(small, (3840, 2160), interpolation=cv2.INTER_CUBIC))
    found = opened(viewport={"width": 1280, "height": 900})
    values = values_of(found.url, image)
    assert values.shape == (2160, 3840)
    found.give(image)
    assert found.page.evaluate("() => document.querySelector('.depth').width") <= 2048
    for x, y in ((3839, 2159), (1234, 567)):
        found.page.fill("#probe-x", str(x))
        found.page.fill("#probe-y", str(y))
        value = float(found.text("#value").split()[0])
        assert value == pytest.approx(values[y, x], rel=1e-6, abs=1e-9)
    begun_s = time.monotonic()
    found.page.locator("#histogram input").first.fill("300")
    found.frame()
    assert time.monotonic() - begun_s < 5.0
    found.page.check("input[value=surface]")
    found.frame()
    assert found.pixels("#surface").std() > 10


def test_everything_can_be_reached_by_tab(street: Opened) -> None:
    """Each control in turn, with a focus that is seen."""
    seen, outlines = [], set()
    street.page.evaluate("() => document.activeElement.blur()")
    for _ in range(60):
        street.page.keyboard.press("Tab")
        name, outline = street.page.evaluate(
            "() => { const at = document.activeElement; const mark = at.id === 'file'"
            " ? document.querySelector('.button') : at;"
            " return [at.id || at.dataset.format || at.name || at.ariaLabel,"
            " getComputedStyle(mark).outlineStyle]; }"
        )
        seen.append(name)
        if name:
            outlines.add(outline)
    wanted = {"tab-one", "model", "fov", "file", "mode", "picture", "wipe", "probe-x", "probe-y"}
    wanted |= {"layer", "palette", "Lowest value of the palette", "png", "exr", "npy", "glb"}
    assert wanted <= set(seen)
    assert outlines == {"solid"}


def test_tabs_answer_to_arrows(opened: Callable[..., Opened]) -> None:
    found = opened()
    found.page.focus("#tab-one")
    found.page.keyboard.press("ArrowRight")
    assert found.page.get_attribute("#tab-many", "aria-selected") == "true"
    assert found.page.locator("#many").is_visible()
    assert not found.page.locator("#one").is_visible()


def test_docs_show_every_path(opened: Callable[..., Opened]) -> None:
    found = opened("/docs")
    found.page.locator("#status").filter(has_text="paths").wait_for()
    with urlopen(f"{found.url}/openapi.json") as answer:
        paths = json.load(answer)["paths"]
    shown = found.page.locator("#paths h2").all_inner_texts()
    assert len(shown) == sum(len(methods) for methods in paths.values())
    assert "POST /v1/depth" in shown
    section = found.page.locator("#paths section", has_text="POST /v1/depth").inner_text()
    assert "Horizontal angle of view in degrees." in section
    assert "image/png, application/x-npy" in section
    assert "The body is too large." in section


def test_the_mesh_has_the_distances_of_exports(opened: Callable[..., Opened]) -> None:
    from depth.exports.distance import distances
    from depth.family import RELATIVE_INVERSE
    from depth.maps.result import Map
    from tests.support.depth_samples import ramp

    found = opened()
    z = found.page.evaluate(
        "async (values) => Array.from((await import('/page/mesh.js'))"
        ".distances({ values: Float32Array.from(values) }, 'relative_inverse'))",
        ramp().ravel().tolist(),
    )
    expected = distances(Map(ramp(), RELATIVE_INVERSE), None).z.ravel()
    np.testing.assert_allclose(z, expected, rtol=1e-5)
