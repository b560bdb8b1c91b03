"""The gallery in a browser: groups, search, pages, and a scene from its GLB."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from depth.scenes.export import export_scene
from tests.support.rendered import rendered
from tests.support.scene_services import scene_process
from tests.support.services import TOKEN
from tests.support.web import Opened
from tests.web.test_page_places import WIDTHS, serious
from tests.web.test_scenes import Open, differ, look, open_at

pytestmark = pytest.mark.web

__all__ = ["open_at"]  # a fixture
SCENES = 18


def fill(gallery: Path) -> None:
    """A group with scenes for two pages, and a group with one whose name is odd."""
    first = gallery / "home" / "room 00"
    export_scene(rendered(size=(63, 84)).scene, first, ["glb"])
    for number in range(1, SCENES):
        shutil.copytree(first, gallery / "home" / f"room {number:02}")
    shutil.copytree(first, gallery / "über #1" / "50% <b>")


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    place = tmp_path_factory.mktemp("gallery")
    with scene_process(place) as url:
        fill(place / "root" / "gallery")
        yield url


def titles(found: Opened) -> list[str]:
    return [each.inner_text().strip() for each in found.page.locator("#items a").all()]


def drawn(found: Opened) -> np.ndarray:
    found.page.locator("#surface[data-drawn]").wait_for()
    return look(found)


def test_groups_scenes_search_and_pages(open_at: Open, gallery: str) -> None:
    found = open_at(gallery, "/gallery/")
    found.page.locator("#items a").first.wait_for()
    assert titles(found) == ["home", "über #1"]
    found.page.click("#items a:text-is('home')")
    found.page.locator("#status").filter(has_text=f"{SCENES} scenes").wait_for()
    assert titles(found) == [f"room {number:02}" for number in range(16)]
    found.page.click("#after")
    assert titles(found) == ["room 16", "room 17"]
    assert found.text("#page") == "2 of 2"
    found.page.fill("#search", "17 ROOM")
    assert titles(found) == ["room 17"]
    found.page.fill("#search", "cellar")
    assert (titles(found), found.text("#status")) == ([], "0 scenes of home")
    found.page.click("#back")
    found.page.locator("#status").filter(has_text="groups").wait_for()


def test_a_scene_is_shown_from_its_glb(open_at: Open, gallery: str) -> None:
    found = open_at(gallery, "/gallery")
    found.page.click("#items a:has-text('über #1')")
    found.page.click("#items a:has-text('50% <b>')")
    first = drawn(found)
    assert differ(first, np.broadcast_to(first[0, 0], first.shape)) > 0.1
    assert found.text("#h-scene") == "50% <b>"
    pictures = found.page.locator("#depths img")
    assert pictures.count() == 4
    assert all(each.evaluate("image => image.decode().then(() => true)") for each in pictures.all())
    found.page.focus("#surface")
    for _ in range(5):
        found.page.keyboard.press("ArrowRight")
    assert differ(look(found), first) > 0.05
    found.page.keyboard.press("Home")
    found.page.uncheck("#cameras")
    assert 0 < differ(look(found), first) < 0.1
    with found.page.expect_download() as begun:
        found.page.click("#model")
    assert Path(begun.value.path()).read_bytes()[:4] == b"glTF"
    found.page.reload()
    assert differ(drawn(found), first) < 0.01  # the address names the scene


def test_a_damaged_glb_says_so(open_at: Open, gallery: str, tmp_path: Path) -> None:
    with scene_process(tmp_path) as url:
        fill(tmp_path / "root" / "gallery")
        path = tmp_path / "root" / "gallery" / "home" / "room 00" / "scene.glb"
        whole = path.read_bytes()
        for damaged in (b"", b"<html>", whole[:200], whole[:-400], whole.replace(b"VEC3", b"MAT3")):
            path.write_bytes(damaged)
            found = open_at(url, "/gallery/#home/room%2000")
            found.page.wait_for_selector("#error:not([hidden])")
            assert found.text("#error")
    assert gallery


def test_pictures_and_scenes_of_a_service_with_a_token(open_at: Open, tmp_path: Path) -> None:
    with scene_process(tmp_path, token=TOKEN) as url:
        fill(tmp_path / "root" / "gallery")
        found = open_at(url, "/gallery/#home/room%2001")
        found.expected = ("401",)
        found.page.fill("#token", TOKEN)
        found.page.click("#token-form button")
        first = drawn(found)
        assert differ(first, np.broadcast_to(first[0, 0], first.shape)) > 0.1
        source = found.page.locator("#items img").first
        source.evaluate("image => image.decode()")
        assert source.get_attribute("src").startswith("blob:")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_axe_finds_nothing_serious_in_the_gallery(
    open_at: Open, gallery: str, scheme: str, width: int
) -> None:
    size = {"width": width, "height": 800}
    found = open_at(gallery, "/gallery/#home/room%2003", viewport=size, color_scheme=scheme)
    drawn(found)
    assert serious(found.page) == []
    assert found.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
