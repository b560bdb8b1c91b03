"""A core that fails after it was opened again, and again: only a new process helps."""

from __future__ import annotations

from contextlib import suppress

import pytest

from depth.command import command_line, guarded
from serve.errors import (
    RESTART,
    Action,
    OutOfServiceError,
    ProgramError,
    RestartError,
    ServeError,
)
from tests.support.commands import ended
from tests.support.schedules import (
    LYING,
    STANDING,
    WAIT_S,
    Served,
    images,
    is_depth_of,
    programs,
    serving,
    until,
)
from tests.support.simulated import LOAD, RUN, Fault

pytestmark = pytest.mark.usefixtures("runs_per_core")
SAYS = "core 0, opened 2 times again: .*; restart the process"


def in_service(served: Served) -> int:
    return served.scheduler.snapshot().cores_in_service


def recycling(call: str, *nth: int, core: int = 0) -> list[Fault]:
    return [Fault(n, Action.RECYCLE, core, call) for n in nth]


def test_two_reopenings_in_vain_end_the_process_with_every_request_answered() -> None:
    faults = [*recycling(RUN, 1), *recycling(LOAD, 2, 3)]
    with serving(programs(LYING), *faults, reopenings=2) as served:
        many = served.submit_all(images(8))
        errors = [future.exception(WAIT_S) for future in many]
        assert any(isinstance(error, RestartError) for error in errors)
        assert all(isinstance(error, (RestartError, ProgramError)) for error in errors)
        with pytest.raises(RestartError, match=SAYS):
            served.submit(images(1)[0])
        with pytest.raises(RestartError, match=SAYS):
            served.scheduler.warm_up()
        assert served.device.calls[LOAD, 0] == 3


def test_other_cores_finish_what_they_have_begun() -> None:
    held = Fault(1, core=0, hang=True)
    faults = [held, *recycling(RUN, 1, core=1), *recycling(LOAD, 2, 3, core=1)]
    with serving(programs(LYING), *faults, cores=2, reopenings=2) as served:
        served.scheduler.warm_up()
        many, futures = images(4), []
        for image in many:
            with suppress(RestartError):
                futures.append(served.submit(image))
        until(lambda: in_service(served) == 1)
        served.device.release()
        errors = [future.exception(WAIT_S) for future in futures]
        assert any(error is None for error in errors)
        for future, image, error in zip(futures, many, errors):
            assert isinstance(error, RestartError) or is_depth_of(future, image)


def test_a_load_that_works_starts_the_count_again() -> None:
    faults = [*recycling(RUN, 1, 2), *recycling(LOAD, 2, 4)]
    with serving(programs(LYING), *faults, reopenings=2) as served:
        served.submit(images(1)[0]).exception(WAIT_S)
        found = served.submit(images(1)[0])
        assert is_depth_of(found, images(1)[0])
        assert in_service(served) == 1


def test_warming_up_ends_with_it_too() -> None:
    faults = recycling(LOAD, 1, 2, 3)
    with serving(programs(LYING, STANDING), *faults, cores=2, reopenings=2) as served:
        with pytest.raises(RestartError, match=SAYS):
            served.scheduler.warm_up()
        assert in_service(served) == 1


@pytest.mark.parametrize(("error", "code"), [(RestartError, RESTART), (OutOfServiceError, 1)])
def test_a_command_that_ends_with_it_has_an_exit_code_of_its_own(
    error: type[Exception], code: int
) -> None:
    app = command_line()

    @app.command()
    def job() -> None:
        raise error("core 0")

    done = ended(lambda: guarded(app, "job", ServeError), "job")
    assert (done.code, done.line()) == (code, "core 0\n")


def test_a_core_to_replace_is_no_reason_to_start_again() -> None:
    with serving(programs(LYING), Fault(1, Action.REPLACE), reopenings=2) as served:
        served.submit(images(1)[0]).exception(WAIT_S)
        with pytest.raises(OutOfServiceError, match="every core is out of service") as got:
            served.submit(images(1)[0])
        assert not isinstance(got.value, RestartError)
