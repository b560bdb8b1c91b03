"""Pictures of the page for the README, into docs/: `make screenshots`. Of our own samples only."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from depth.scenes.export import export_scene
from tests.support.places import ROOT
from tests.support.rendered import rendered
from tests.support.scene_services import scene_process
from tests.support.web import app, chromium, missing

SAMPLES = ROOT / "input_images" / "samples"
SIDES = ("left", "middle", "right")
TALL = {"width": 1280, "height": 1100}
WIDE, NARROW = {"width": 1280, "height": 860}, {"width": 360, "height": 900}


def shoot(page: Any, name: str, folder: Path, quality: int = 72) -> None:
    """One picture as JPEG."""
    path = folder / f"page-{name}.jpg"
    page.evaluate("window.scrollTo(0, 0)")
    page.screenshot(path=path, type="jpeg", quality=quality)
    sys.stdout.write(f"{path}: {path.stat().st_size / 1000:.0f} kB\n")


def opened(browser: Any, url: str, size: dict[str, int], image: Path, **options: Any) -> Any:
    """A page with the depth of an image."""
    page = browser.new_context(viewport=size, **options).new_page()
    page.goto(url)
    page.wait_for_selector("#samples img")
    page.set_input_files("#file", image)
    page.locator("#status").filter(has_text="Done").wait_for(timeout=120_000)
    page.wait_for_timeout(300)
    return page


def pictures(url: str, browser: Any, folder: Path) -> None:
    """Every picture of the README."""
    page = opened(browser, url, WIDE, SAMPLES / "room.jpg")
    shoot(page, "wide", folder)
    page.check("input[value=surface]")
    page.focus("#surface")
    for _ in range(9):
        page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(500)
    shoot(page, "surface", folder)
    page.check("input[value=over]")
    page.set_input_files("#file", ROOT / "README.md")
    page.wait_for_selector("#error:not([hidden])")
    shoot(page, "error", folder)
    dark = opened(browser, url, WIDE, SAMPLES / "stairs.jpg", color_scheme="dark")
    dark.select_option("#palette", "spectral")
    dark.check("input[value=beside]")
    dark.wait_for_timeout(300)
    shoot(dark, "dark", folder)
    narrow = opened(browser, url, NARROW, SAMPLES / "hall.jpg")
    shoot(narrow, "narrow", folder)


def scenes(url: str, browser: Any, folder: Path) -> None:
    """A scene on its page, with a distance, and a scene in the gallery."""
    page = browser.new_context(viewport=TALL).new_page()
    page.goto(url)
    data = (SAMPLES / "room.jpg").read_bytes()
    images = [{"name": f"{side}.jpg", "mimeType": "image/jpeg", "buffer": data} for side in SIDES]
    page.set_input_files("#files", images)
    page.click("#start")
    page.locator("#status").filter(has_text="Done").wait_for(timeout=60_000)
    page.focus("#picture")
    for key in ("Enter", *["Shift+ArrowLeft"] * 5, *["Shift+ArrowDown"] * 3, "Enter"):
        page.keyboard.press(key)
    page.focus("#surface")
    for key in ("+", "ArrowLeft", "ArrowLeft", "ArrowDown"):
        page.keyboard.press(key)
    page.wait_for_timeout(500)
    shoot(page, "scene", folder)
    page.goto(f"{url}/gallery/#samples/room")
    page.locator("#surface[data-drawn]").wait_for()
    page.wait_for_timeout(500)
    shoot(page, "gallery", folder)


def main() -> None:
    """Write docs/page-*.jpg, or into the folder that is given."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs"
    if missing():
        sys.exit(missing())
    with tempfile.TemporaryDirectory() as place, app(Path(place)) as found, chromium() as browser:
        pictures(found[0], browser, folder)
    size = (252, 336)
    with (
        tempfile.TemporaryDirectory() as place,
        scene_process(Path(place), size=size) as url,
        chromium() as browser,
    ):
        for kind in ("room", "hall", "shelves"):
            export_scene(
                rendered(kind=kind, size=size).scene,
                Path(place, "root", "gallery", "samples", kind),
                ["glb"],
            )
        scenes(url, browser, folder)


if __name__ == "__main__":
    main()
