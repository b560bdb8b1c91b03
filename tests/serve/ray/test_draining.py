"""What a driver does with rows after a stop: it takes what still comes, within a limit."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from threading import Event

import pytest

from serve.jobs.stop import Stop
from serve.ray.draining import drained


def test_rows_pass_and_nobody_is_told_anything() -> None:
    told: list[str] = []
    assert list(drained(range(3), Stop(), told.append, 60.0)) == [0, 1, 2]
    assert told == []


def test_after_a_stop_rows_still_come_and_the_others_are_told_once() -> None:
    stop, told = Stop(), []
    found = []
    for row in drained(range(5), stop, told.append, 60.0):
        found.append(row)
        stop.request("SIGTERM")
    assert found == [0, 1, 2, 3, 4]
    assert told == ["SIGTERM"]


def test_a_stop_is_seen_while_no_row_comes() -> None:
    stop, asked = Stop(), Event()

    def rows() -> Iterator[int]:
        stop.request("SIGTERM")
        assert asked.wait(30)
        yield 7

    assert list(drained(rows(), stop, lambda _: asked.set(), 60.0)) == [7]


def test_rows_that_never_come_are_left_after_the_limit(caplog: pytest.LogCaptureFixture) -> None:
    stop, over = Stop(), Event()

    def rows() -> Iterator[int]:
        yield 1
        over.wait(30)

    begun_s, found = time.monotonic(), []
    with caplog.at_level(logging.WARNING):
        for row in drained(rows(), stop, lambda _: None, 0.3):
            found.append(row)
            stop.request("SIGTERM")
    over.set()
    assert found == [1]
    assert time.monotonic() - begun_s < 10
    assert "images were still under way 0.3 s after the stop" in caplog.text


def test_an_error_of_the_rows_is_raised() -> None:
    def rows() -> Iterator[int]:
        yield 1
        raise KeyError("gone")

    found = drained(rows(), Stop(), lambda _: None, 60.0)
    assert next(found) == 1
    with pytest.raises(KeyError, match="gone"):
        next(found)
