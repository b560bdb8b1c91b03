"""The page of one image: in by every way, looked at in every way."""

from __future__ import annotations

import base64
import re
from typing import Any, Callable

import numpy as np
import pytest

from depth.maps.preview import WARM_LAST
from tests.support.web import FOV, Opened, depth_of, values_of
from tests.web.conftest import SAMPLES

pytestmark = pytest.mark.web

# A file of given bytes, pasted or dropped as a person does it.
_GIVE = """([how, data]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const held = new DataTransfer();
  held.items.add(new File([bytes], "given.jpg", { type: "image/jpeg" }));
  const options = { bubbles: true, cancelable: true };
  const event = how === "paste"
    ? new ClipboardEvent("paste", { clipboardData: held, ...options })
    : new DragEvent("drop", { dataTransfer: held, ...options });
  document.body.dispatchEvent(event);
}"""


def probed(opened: Opened) -> float:
    return float(opened.text("#value").split()[0])


def test_an_uploaded_image_gets_depth_and_says_how(street: Opened) -> None:
    facts = street.text("#facts")
    values = values_of(street.url, SAMPLES / "street.jpg")
    assert f"{values.shape[1]} × {values.shape[0]} px" in facts
    assert "fp32 on openvino" in facts
    assert re.search(r"Artifact\n[0-9a-f]{64}", facts)
    assert re.search(r"network \d+ ms", facts)
    assert "60° assumed" in facts
    assert "larger is nearer" in street.text("#meaning")
    assert street.pixels("#picture .depth").std() > 20
    assert street.text("#model").startswith("demo, fp32 on openvino")


@pytest.mark.parametrize("how", ["paste", "drop"])
def test_an_image_can_be_pasted_and_dropped(opened: Callable[..., Opened], how: str) -> None:
    found = opened()
    data = base64.b64encode((SAMPLES / "hall.jpg").read_bytes()).decode()
    found.page.evaluate(_GIVE, [how, data])
    found.done()
    assert found.page.locator("#result").is_visible()


def test_a_sample_can_be_picked_by_keyboard(opened: Callable[..., Opened]) -> None:
    found = opened()
    found.page.locator("#samples button").first.focus()
    found.page.keyboard.press("Enter")
    found.done()
    names = found.page.locator("#samples img").evaluate_all("all => all.map(one => one.alt)")
    assert len(names) == len(list(SAMPLES.glob("*.jpg")))


def test_the_border_moves_by_keys(street: Opened) -> None:
    before = street.pixels("#picture")
    street.page.focus("#wipe")
    street.page.keyboard.press("Home")
    street.frame()
    depth = street.pixels("#picture")
    street.page.keyboard.press("End")
    street.frame()
    image = street.pixels("#picture")
    middle = depth.shape[1] // 2
    assert np.abs(depth[:, : middle - 20].astype(int) - before[:, : middle - 20]).mean() > 10
    assert np.abs(depth.astype(int) - image).mean() > 10


def test_the_probe_shows_the_value_of_the_npy(street: Opened) -> None:
    values = values_of(street.url, SAMPLES / "street.jpg")
    height, width = values.shape
    for x, y in ((0, 0), (width - 1, height - 1), (width // 3, height // 2)):
        street.page.fill("#probe-x", str(x))
        street.page.fill("#probe-y", str(y))
        assert probed(street) == pytest.approx(values[y, x], rel=1e-6, abs=1e-9)
    box = street.page.locator("#picture").bounding_box()
    street.page.locator("#probe-y").blur()
    street.page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.25)
    x, y = (int(street.page.input_value(f"#probe-{axis}")) for axis in "xy")
    assert (abs(x - width * 0.75) <= 1, abs(y - height * 0.25) <= 1) == (True, True)
    assert probed(street) == pytest.approx(values[y, x], rel=1e-6)
    street.page.focus("#picture")
    street.page.keyboard.press("ArrowRight")
    street.page.keyboard.press("Shift+ArrowDown")
    assert street.page.input_value("#probe-x") == str(x + 1)
    assert probed(street) == pytest.approx(values[y + 10, x + 1], rel=1e-6)
    assert street.page.get_attribute("#value", "aria-live") == "polite"


def test_handles_of_the_histogram_set_the_range(street: Opened) -> None:
    values = values_of(street.url, SAMPLES / "street.jpg")
    before, whole = street.pixels("#picture"), street.text("#histogram .range")
    assert [float(word) for word in whole.split(" to ")] == pytest.approx(
        [values.min(), values.max()], rel=1e-3, abs=1e-9
    )
    lowest, highest = street.page.locator("#histogram input").all()
    lowest.fill("400")
    highest.fill("600")
    street.frame()
    low, high = (float(word) for word in street.text("#histogram .range").split(" to "))
    span = values.max() - values.min()
    assert low == pytest.approx(values.min() + 0.4 * span, rel=1e-3)
    assert high == pytest.approx(values.min() + 0.6 * span, rel=1e-3)
    assert np.abs(street.pixels("#picture").astype(int) - before).mean() > 5
    lowest.fill("900")
    assert lowest.input_value() == "599", "the handles never cross"
    street.page.click("#histogram button")
    street.frame()
    assert street.text("#histogram .range") == whole


def test_palettes_colour_the_depth(street: Opened) -> None:
    seen = []
    for name in ("blue-yellow", "gray", "spectral"):
        street.page.select_option("#palette", name)
        seen.append(street.pixels("#picture").astype(int))
    assert np.abs(seen[0] - seen[1]).mean() > 5
    assert np.abs(seen[1] - seen[2]).mean() > 5


def test_palettes_are_safe_where_they_say_so(opened: Callable[..., Opened]) -> None:
    tables: dict[str, Any] = opened().page.evaluate(
        "async () => Object.fromEntries(Object.entries((await import('/page/palette.js')).PALETTES)"
        ".map(([name, { colours }]) => [name, Array.from(colours)]))"
    )
    rgb = {name: np.array(flat).reshape(256, 3) for name, flat in tables.items()}
    assert np.abs(rgb["spectral"] - WARM_LAST[:, 0, ::-1].astype(int)).max() <= 1
    for name in ("blue-yellow", "gray"):
        lightness = rgb[name] @ [0.2126, 0.7152, 0.0722]
        assert (np.diff(lightness) >= -0.5).all(), name
        assert lightness[-1] - lightness[0] > 150


def test_the_3d_view_draws_and_turns(street: Opened) -> None:
    street.page.check("input[value=surface]")
    street.frame()
    first = street.pixels("#surface").astype(int)
    background = first[-3, 3]
    drawn = (np.abs(first - background).sum(-1) > 12).mean()
    assert 0.2 < drawn < 0.98
    street.page.focus("#surface")
    for _ in range(4):
        street.page.keyboard.press("ArrowLeft")
    street.frame()
    turned = street.pixels("#surface").astype(int)
    assert np.abs(turned - first).mean() > 5
    street.page.mouse.move(400, 500)
    street.page.mouse.down()
    street.page.mouse.move(520, 540, steps=3)
    street.page.mouse.up()
    street.page.mouse.wheel(0, 300)
    street.frame()
    assert np.abs(street.pixels("#surface").astype(int) - turned).mean() > 5
    street.page.click("#home")
    street.page.focus("#surface")
    street.frame()
    assert np.abs(street.pixels("#surface").astype(int) - first).mean() < 0.5
    street.page.select_option("#skin", "depth")
    street.frame()
    assert np.abs(street.pixels("#surface").astype(int) - first).mean() > 5
    assert "Field of view 60° (assumed)" in street.text("#surface-note")


def test_a_field_of_view_is_used(street: Opened) -> None:
    street.page.fill("#fov", "75")
    street.page.keyboard.press("Enter")
    street.page.locator("#facts").filter(has_text="75° as given").wait_for()
    street.page.check("input[value=surface]")
    assert "Field of view 75° (as given)" in street.text("#surface-note")


def test_layers_are_those_of_the_model(opened: Callable[..., Opened]) -> None:
    """A stand-in for a model with sky: the answer is made here, as the service makes it."""
    found = opened()
    body = depth_of(sky=True)
    found.page.route(
        "**/v1/depth?*", lambda route: route.fulfill(status=200, body=body, headers=FOV)
    )
    found.give(SAMPLES / "street.jpg")
    assert found.page.locator("#layer option").all_inner_texts() == ["depth", "confidence", "sky"]
    assert found.text("#value").endswith(" m")
    assert found.text("#histogram .range") == "2 m to 2.5 m"
    found.page.select_option("#layer", "sky")
    assert found.text("#histogram .range") == "0 to 1"
    assert found.text("#value").endswith("(no unit)")
    found.page.check("input[value=surface]")
    found.frame()
    upper, lower = np.array_split(found.pixels("#surface").astype(int), 2)
    background = lower[-3, 3]
    shares = [(np.abs(half - background).sum(-1) > 12).mean() for half in (upper, lower)]
    assert shares[0] < shares[1] / 2, "the upper half is sky, and is left out"
