from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support import schedules
from tests.support.folder_jobs import close_engines

# Before gRPC starts: its handlers of a fork end processes that a test starts.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
# Else tests would load programs that an earlier run has kept; those of serve/runtimes/kept do.
os.environ["DEPTH_PROGRAM_CACHE"] = "off"


def _not_onto_the_disk(descriptor: int) -> None:
    os.fstat(descriptor)  # raises as a sync does, for a file that is closed


@pytest.fixture(autouse=True, scope="session")
def _files_need_not_survive_a_power_cut() -> Iterator[None]:
    """Waiting for the disk takes a third of the time of folder jobs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", _not_onto_the_disk)
        yield


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
