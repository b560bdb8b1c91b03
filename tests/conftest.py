from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import schedules
from tests.support.folder_jobs import close_engines


@pytest.fixture(autouse=True)
def _engines_are_closed() -> Iterator[None]:
    yield
    close_engines()


@pytest.fixture(params=[1, 2])
def runs_per_core(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """What schedulers of tests.support.schedules hand to a core at once, unless told otherwise."""
    runs: int = request.param
    monkeypatch.setattr(schedules, "runs_per_core", runs)
    return runs
