"""The page of scenes and the list of tasks: images in, a scene in 3D, distances, files, an end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Callable
from urllib.parse import urlsplit

import numpy as np
import pytest

from tests.support.scene_services import scene_process
from tests.support.services import TOKEN
from tests.support.web import Opened
from tests.web.conftest import SAMPLES
from tests.web.test_page_places import WIDTHS, serious

pytestmark = pytest.mark.web

PAIR = [SAMPLES / "hall.jpg", SAMPLES / "room.jpg"]
ROOM = (126, 168)  # (height, width) px
Open = Callable[..., Opened]


@pytest.fixture
def open_at(browser: Any) -> Iterator[Open]:
    """Opens a page; its console stays empty, and it asks the service alone."""
    with ExitStack() as stack:

        def open_page(url: str, path: str = "/", **options: Any) -> Opened:
            return stack.enter_context(shown(browser, url, path, options))

        yield open_page


@contextmanager
def shown(browser: Any, url: str, path: str, options: dict[str, Any]) -> Iterator[Opened]:
    context = browser.new_context(accept_downloads=True, **options)
    found, hosts = Opened(context.new_page(), url), set()
    found.page.on("request", lambda request: hosts.add(urlsplit(request.url)[:2]))
    found.page.goto(url + path)
    yield found
    context.close()
    assert found.unexpected == []
    assert {pair for pair in hosts if pair[0] not in ("blob", "data")} == {urlsplit(url)[:2]}


@pytest.fixture(scope="module")
def walls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a service whose scenes are walls, 2 m away: 32 x 24 px, a focal length of 30 px."""
    with scene_process(tmp_path_factory.mktemp("walls")) as url:
        yield url


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with scene_process(tmp_path_factory.mktemp("rooms"), size=ROOM) as url:
        yield url


def made(found: Opened, images: list[Path] = PAIR) -> None:
    found.page.set_input_files("#files", images)
    found.page.click("#start")
    found.page.locator("#status").filter(has_text="Done").wait_for(timeout=30_000)
    found.frame()


def look(found: Opened) -> np.ndarray:
    found.page.wait_for_timeout(100)
    return found.pixels("#surface").astype(int)


def differ(one: np.ndarray, other: np.ndarray) -> float:
    """Share of pixels that are another colour."""
    return float((np.abs(one - other).max(axis=2) > 20).mean())


def test_a_scene_is_seen_from_all_sides(open_at: Open, rooms: str) -> None:
    found = open_at(rooms)
    made(found)
    assert found.text("#status") == f"Done: 2 views, {2 * ROOM[0] * ROOM[1]} points."
    first = look(found)
    assert differ(first, np.broadcast_to(first[0, 0], first.shape)) > 0.1
    found.page.focus("#surface")
    seen = [first]
    for key in ("ArrowLeft", "ArrowUp", "+", "Shift+ArrowRight", "Shift+ArrowUp"):
        for _ in range(4):
            found.page.keyboard.press(key)
        seen.append(look(found))
        assert differ(seen[-1], seen[-2]) > 0.02, key
    found.page.keyboard.press("Home")
    assert differ(look(found), first) < 0.001
    box = found.page.locator("#surface").bounding_box()
    found.page.mouse.move(box["x"] + 200, box["y"] + 200)
    found.page.mouse.down(button="right")
    found.page.mouse.move(box["x"] + 300, box["y"] + 200)
    found.page.mouse.up(button="right")
    assert differ(look(found), first) > 0.02
    found.page.click("#home")
    found.page.uncheck("#cameras")
    assert 0 < differ(look(found), first) < 0.05


def test_the_slider_hides_points_that_are_less_sure(open_at: Open, walls: str) -> None:
    found = open_at(walls)
    made(found)
    found.page.uncheck("#cameras")
    found.page.fill("#size", "8")

    def coloured(percent: int) -> float:
        found.page.fill("#sure", str(percent))
        picture = look(found)
        return differ(picture, np.broadcast_to(picture[0, 0], picture.shape))

    shares = [coloured(percent) for percent in (0, 50, 99)]
    assert shares[0] > shares[1] > shares[2] > 0
    assert "(" in found.text("#sure-text")  # the confidence itself


def test_a_distance_of_two_pixels_and_of_two_views(open_at: Open, walls: str) -> None:
    found = open_at(walls)
    made(found)
    assert "Click two pixels" in found.text("#distance")
    found.page.focus("#picture")
    found.page.keyboard.press("Enter")
    assert "Choose the second" in found.text("#distance")
    found.page.keyboard.press("Shift+ArrowLeft")
    found.page.keyboard.press("Enter")
    metres = 10 / 30 * 2  # px over the focal length, times the distance
    assert found.text("#distance") == f"{metres:.4f} m"
    assert found.page.locator(".pin").count() == 4  # both ends, in image and depth
    found.page.click("#forget")
    assert found.page.locator(".pin").count() == 0
    found.page.locator("#picture canvas.depth").click()
    found.page.select_option("#view", "1")
    found.page.locator("#picture canvas.depth").click()
    assert found.text("#distance") == "0.5000 m"  # as far as the cameras are from each other
    assert found.page.locator(".pin").count() == 2  # the other end is in the other view


def test_options_reach_the_task_and_files_come_back(open_at: Open, walls: str) -> None:
    found = open_at(walls)
    found.page.click("summary")
    found.page.check("input[value=lower_bound_resize]")
    for field, value in {"#process-res": "280", "#percentile": "25", "#most": "2"}.items():
        found.page.fill(field, value)
    found.page.select_option("#strategy", "middle")
    for box in ("#black", "#white", "#rays", "input[value=ply]"):
        found.page.check(box)
    found.page.uncheck("#in-files")
    with found.page.expect_response("**/inference") as answered:
        made(found)
    task = answered.value.json()["task_id"]
    request = found.page.request.get(f"{walls}/task/{task}").json()["request"]
    assert {name: request[name] for name in ("process_res", "conf_thresh_percentile")} == {
        "process_res": 280,
        "conf_thresh_percentile": 25,
    }
    assert (request["process_res_method"], request["num_max_points"]) == (
        "lower_bound_resize",
        2000,
    )
    assert (request["ref_view_strategy"], request["export_format"]) == ("middle", "npz-glb-ply")
    checked = ("filter_black_bg", "filter_white_bg", "use_ray_pose", "show_cameras")
    assert [request[name] for name in checked] == [True, True, True, False]
    with found.page.expect_download() as begun:
        found.page.click("#downloads a:text-is('scene.glb')")
    assert Path(begun.value.path()).read_bytes()[:4] == b"glTF"
    assert found.page.locator("#downloads a").first.inner_text() == "all files, as ZIP"


def test_the_page_of_single_images_leads_to_scenes(open_at: Open, walls: str) -> None:
    found = open_at(walls, "/page/index.html")
    found.expected = ("404",)  # it has no samples
    found.page.click("#to-scenes")
    found.page.wait_for_url("**/page/scenes.html")
    found.page.locator("#chosen").wait_for()
    assert not found.page.is_visible("#to-images")  # this service has scenes alone


def test_a_file_that_is_no_image_says_so(open_at: Open, walls: str, tmp_path: Path) -> None:
    found = open_at(walls)
    assert found.page.is_disabled("#start")
    (tmp_path / "letter.jpg").write_text("Dear depth")
    found.page.set_input_files("#files", tmp_path / "letter.jpg")
    found.page.click("#start")
    found.page.wait_for_selector("#error:not([hidden])")
    assert "not an image" in found.text("#error")
    made(found)
    assert not found.page.is_visible("#error")


def test_a_running_scene_can_be_cancelled_and_run_again(open_at: Open, tmp_path: Path) -> None:
    with scene_process(tmp_path, 0.4) as url:
        found = open_at(url)
        found.page.set_input_files("#files", PAIR * 5)
        found.page.click("#start")
        found.page.locator("#status").filter(has_text=re.compile(r"prefix: \d of 10")).wait_for()
        assert 0.3 < found.page.locator("progress").evaluate("bar => bar.value") < 0.5
        found.page.click("#cancel")
        found.page.locator("#status").filter(has_text="Cancelled.").wait_for()
        assert found.page.is_enabled("#start")
        found.page.click("nav a:text-is('Tasks')")
        row = found.page.locator("tbody tr").filter(has_text="cancelled")
        row.wait_for()
        assert serious(found.page) == []
        row.get_by_text("Run again").click()
        found.page.locator("tbody tr").filter(has_text="running").wait_for()
        found.page.get_by_text("Cancel", exact=True).click()
        row.get_by_text("Delete").click()
        found.page.wait_for_selector("#none:not([hidden])")


def test_a_service_with_a_token_asks_for_it(open_at: Open, tmp_path: Path) -> None:
    with scene_process(tmp_path, token=TOKEN) as url:
        found = open_at(url)
        found.expected = ("401",)
        found.page.fill("#token", TOKEN)
        found.page.click("#token-form button")
        found.page.wait_for_selector("#to-gallery:not([hidden])")
        made(found)
        with found.page.expect_download() as begun:
            found.page.click("#downloads a:text-is('scene.json')")
        assert json.loads(Path(begun.value.path()).read_text())["views"] == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_axe_finds_nothing_serious_in_scenes(
    open_at: Open, walls: str, scheme: str, width: int
) -> None:
    found = open_at(walls, viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert serious(found.page) == []
    found.page.click("summary")
    made(found)
    assert serious(found.page) == []
    found.page.goto(f"{walls}/dashboard")
    found.page.locator("tbody tr").first.wait_for()
    assert serious(found.page) == []


def test_a_narrow_window_scrolls_down_only(open_at: Open, walls: str) -> None:
    found = open_at(walls, viewport={"width": 360, "height": 740}, has_touch=True)
    found.page.click("summary")
    made(found)
    wide = "() => document.documentElement.scrollWidth <= window.innerWidth"
    assert found.page.evaluate(wide)
    found.page.goto(f"{walls}/dashboard")
    found.page.locator("tbody tr").first.wait_for()
    assert found.page.evaluate(wide)
