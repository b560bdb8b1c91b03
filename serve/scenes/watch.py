"""A scene under way: its requests, its deadline, its steps, and whether it is given up."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import TimeoutError as NotYetError
from typing import Optional

from depth.artifact.program import Shape
from serve.arrays import Arrays
from serve.errors import ExpiredError, GivenUpError, QueueFullError
from serve.scenes.asked import GivenUp, OnStep
from serve.scheduling.queues import Pending
from serve.scheduling.scheduler import Scheduler

LOOK_EVERY_S = 0.05  # whether the scene is given up
_UNDER_WAY = 32  # requests of a scene in a queue at once: half of a queue stays for other scenes


class Wanted:
    """Whether a scene is to go on: it has time left, and nobody has given it up."""

    def __init__(self, deadline_s: Optional[float] = None, given_up: Optional[GivenUp] = None):
        self._deadline_s = deadline_s
        self._until_s = None if deadline_s is None else time.monotonic() + deadline_s
        self._given_up = given_up
        self.may_change = given_up is not None

    def check(self) -> None:
        """Raises GivenUpError or ExpiredError if the scene is not to go on."""
        self.check_given_up()
        self.left_s()

    def check_given_up(self) -> None:
        """Raises GivenUpError if nobody wants the scene."""
        if self._given_up is not None and self._given_up():
            raise GivenUpError("the scene was given up by its caller")

    def left_s(self) -> Optional[float]:
        """What is left of the deadline. Raises ExpiredError if nothing is."""
        if self._until_s is None:
            return None
        left = self._until_s - time.monotonic()
        if left <= 0:
            raise ExpiredError(
                f"the scene's deadline of {self._deadline_s:.3f} s has passed: take fewer images, "
                "or allow more time"
            )
        return left


class Watch:
    """Runs the requests of a scene, and tells its caller how far it is."""

    def __init__(
        self, scheduler: Scheduler, wanted: Wanted, on_step: Optional[OnStep] = None
    ) -> None:
        self._scheduler = scheduler
        self._wanted = wanted
        self._on_step = on_step

    def step(self, name: str, done: int, count: int) -> None:
        """Tell the caller how far the scene is. Raises as `Wanted.check`."""
        if self._on_step is not None:
            self._on_step(name, done, count)
        self._wanted.check()

    def run(
        self, requests: Sequence[Arrays], shape: Shape, name: str = "", before: int = 0
    ) -> list[Arrays]:
        """The answers of requests of one shape, in their order; each is a step of this name.

        before  how many such steps there were without a request

        Requests share batches, also with those of other scenes. Raises GivenUpError, ExpiredError,
        or what a request was answered with; then the others are cancelled.
        """
        answers: list[Arrays] = []
        under_way: deque[Pending] = deque()
        left = deque(requests)
        try:
            while len(answers) < len(requests):
                while left and len(under_way) < _UNDER_WAY and self._submit(left, shape, under_way):
                    pass
                if under_way:
                    answers.append(self._wait(under_way.popleft()))
                    if name:
                        self.step(name, before + len(answers), before + len(requests))
                else:  # the queue is full of other scenes
                    self._wanted.check()
                    time.sleep(LOOK_EVERY_S)
        except BaseException:
            for pending in under_way:
                pending.cancel()
            raise
        return answers

    def _submit(self, left: deque[Arrays], shape: Shape, under_way: deque[Pending]) -> bool:
        try:
            pending = self._scheduler.submit(left[0], shape, self._wanted.left_s(), wait=False)
        except QueueFullError:
            return False
        left.popleft()
        under_way.append(pending)
        return True

    def _wait(self, pending: Pending) -> Arrays:
        while True:
            try:
                return pending.result(LOOK_EVERY_S if self._wanted.may_change else None)
            except NotYetError:
                try:
                    self._wanted.check_given_up()
                except GivenUpError:
                    pending.cancel()
                    raise
