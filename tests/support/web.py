"""The page in Debian's Chromium: the service as `app.py` starts it, and a browser to look at it."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import cv2
import numpy as np
import numpy.typing as npt

from depth.family import DEPTH, METRES
from depth.maps.meta import Description, Encoding
from depth.maps.result import Map, Result
from tests.support.depth_samples import MADE_BY
from tests.support.places import ROOT

INSTALL = (
    "run `apt-get install chromium` and "
    "`.tools/uv/bin/uv pip install -p .venv/bin/python --group web`, then try again"
)
_PLAIN = Encoding("float32", 1.0, 0.0)
_FLAGS = (
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # WebGL without a graphics card.
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)


def missing() -> str:
    """What is missing to drive a browser; "" if nothing is."""
    if not (shutil.which("chromium") or shutil.which("chromium-browser")):
        return f"there is no Chromium: {INSTALL}"
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return f"playwright is not installed: {INSTALL}"
    return ""


class Opened:
    """The page of a service in a browser.

    page        of playwright
    expected    texts that its console may say
    unexpected  what else its console said, and errors of its scripts
    """

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        self.url = url
        self.expected: tuple[str, ...] = ()
        self._said: list[str] = []
        page.on("console", lambda message: self._said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self._said.append(f"error: {error}"))

    @property
    def unexpected(self) -> list[str]:
        return [said for said in self._said if not any(text in said for text in self.expected)]

    def give(self, image: Path) -> None:
        """Upload an image, and wait for its depth."""
        self.page.set_input_files("#file", image)
        self.done()

    def done(self) -> None:
        """Wait until depth is on screen. A new shape waits for its program."""
        self.page.locator("#status").filter(has_text="Done").wait_for(timeout=120_000)

    def text(self, selector: str) -> str:
        found: str = self.page.locator(selector).inner_text()
        return found

    def pixels(self, selector: str) -> npt.NDArray[np.uint8]:
        """What an element looks like, BGR."""
        data = np.frombuffer(self.page.locator(selector).screenshot(), np.uint8)
        return cv2.imdecode(data, cv2.IMREAD_COLOR).astype(np.uint8, copy=False)

    def frame(self) -> None:
        """Wait until what was changed is drawn."""
        self.page.evaluate(
            "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )


def values_of(url: str, image: Path) -> npt.NDArray[np.float32]:
    """Depth of an image as the service gives it to programs, [H,W]."""
    request = Request(f"{url}/v1/depth?format=npy", image.read_bytes())
    with urlopen(request, timeout=120) as answer:
        found: npt.NDArray[np.float32] = np.load(io.BytesIO(answer.read()), allow_pickle=False)
    return found


FOV = {"Depth-Fov-Deg": "60.0", "Depth-Fov-Source": "assumed"}


def depth_of(sky: bool, height_px: int = 320, width_px: int = 480) -> bytes:
    """An NPZ as the service makes it, of metres, confidence, and sky in the upper half."""
    values = np.linspace(2, 2.5, height_px * width_px, dtype=np.float32)
    upper = np.zeros((height_px, width_px), np.float32)
    upper[: height_px // 2] = float(sky)
    metres = Map(values.reshape(height_px, width_px), METRES)
    text = Description(Result({DEPTH: metres}, MADE_BY), {}, {(DEPTH, "npz"): _PLAIN})
    stream = io.BytesIO()
    arrays = {"depth": metres.values, "confidence": upper + 1, "sky": upper}
    np.savez(stream, **arrays, meta=np.array(text.inside[DEPTH, "npz"]))
    return stream.getvalue()


@contextmanager
def app(artifacts: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`python app.py` with the demo model on a free port: its URL, without the last slash."""
    words = ("app.py", "--model", "demo", "--artifacts", str(artifacts), "--port", "0", *options)
    with subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            url = (process.stdout.readline() if process.stdout else "").strip()
            if not url:
                raise RuntimeError("app.py ended: its reason is on stderr")
            yield url.rstrip("/"), process
        finally:
            process.terminate()


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser of playwright."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


if __name__ == "__main__":
    sys.exit(missing() or 0)
