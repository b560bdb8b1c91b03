"""A service, a browser, and pages that must stay silent on their console."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

from tests.support.places import ROOT
from tests.support.web import Opened, app, chromium, missing

SAMPLES = ROOT / "input_images" / "samples"


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the services of these tests keep their programs."""
    if missing():
        pytest.skip(missing())
    return tmp_path_factory.mktemp("artifacts")


@pytest.fixture(scope="session")
def url(artifacts: Path) -> Iterator[str]:
    with app(artifacts) as (found, _):
        yield found


@pytest.fixture(scope="session")
def browser(artifacts: Path) -> Iterator[Any]:  # noqa: ARG001 - skips without a browser
    with chromium() as found:
        yield found


@pytest.fixture
def opened(browser: Any, url: str) -> Iterator[Callable[..., Opened]]:
    """Opens the page; at the end, its console must be empty but for what the test expects."""
    pages: list[Opened] = []

    def open_page(path: str = "/", at: str = url, **options: Any) -> Opened:
        context = browser.new_context(accept_downloads=True, **options)
        pages.append(Opened(context.new_page(), at))
        pages[-1].page.goto(at + path)
        return pages[-1]

    yield open_page
    for each in pages:
        each.page.context.close()
        assert each.unexpected == []


@pytest.fixture
def street(opened: Callable[..., Opened]) -> Opened:
    """The page with the depth of a sample."""
    found = opened(viewport={"width": 1280, "height": 900})
    found.give(SAMPLES / "street.jpg")
    return found
