"""The models of a service by name: loaded, exchanged and unloaded without losing a request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Thread
from typing import Optional

from depth.errors import InputError
from serve.errors import ClosedError, ServeError
from serve.service.model import Model

MAX_MODELS = 64


class UnknownModelError(ServeError):
    """The service has no model of this name."""


class NotReadyError(ServeError):
    """The model is there, but its programs are not loaded yet."""


class Models:
    """Models by name. The first is the default. Safe in any thread."""

    def __init__(self) -> None:
        self._live: dict[str, Model] = {}
        self._changed = Condition()
        self._users: dict[Model, int] = {}
        self._retiring: list[Thread] = []
        self._closed = False

    @property
    def all(self) -> list[Model]:
        """Those that answer now, the default first."""
        with self._changed:
            return list(self._live.values())

    @property
    def ready(self) -> bool:
        """Whether there is a model, and each has run once on every core."""
        found = self.all
        return bool(found) and all(model.ready for model in found)

    def find(self, name: Optional[str] = None) -> Model:
        """The model of this name, or the default. Raises UnknownModelError."""
        with self._changed:
            return self._found(name)

    def usable(self, name: Optional[str] = None) -> Model:
        """The same, if it is ready. Raises UnknownModelError or NotReadyError."""
        with self._changed:
            return self._usable(name)

    @contextmanager
    def use(self, name: Optional[str] = None) -> Iterator[Model]:
        """A model that stays open inside `with`, even if another takes its name meanwhile.

        Raises UnknownModelError or NotReadyError.
        """
        with self._changed:
            model = self._usable(name)
            self._users[model] = self._users.get(model, 0) + 1
        try:
            yield model
        finally:
            with self._changed:
                self._users[model] -= 1
                self._changed.notify_all()

    def put(self, model: Model) -> None:
        """Give a model its name. An earlier model of the name finishes its requests and closes.

        That takes its time in a thread. Raises InputError if there are MAX_MODELS others,
        ClosedError after `close`.
        """
        with self._changed:
            if self._closed:
                raise ClosedError("the service is closed and takes no more models")
            if model.name not in self._live and len(self._live) >= MAX_MODELS:
                raise InputError(f"{MAX_MODELS} models are loaded: unload a model first")
            earlier = self._live.get(model.name)
            self._live[model.name] = model
            if earlier is not None and earlier is not model:
                self._retire(earlier)

    def remove(self, name: str) -> None:
        """Take a model out: it finishes its requests and closes, in a thread.

        Raises UnknownModelError.
        """
        with self._changed:
            self._retire(self._found(name))
            del self._live[name]

    def close(self) -> None:
        """Take all models out, and wait until each has finished its requests and is closed."""
        with self._changed:
            self._closed = True
            for model in self._live.values():
                self._retire(model)
            self._live.clear()
            retiring = list(self._retiring)
        for thread in retiring:
            thread.join()

    def _found(self, name: Optional[str]) -> Model:
        if name is None and self._live:
            return next(iter(self._live.values()))
        if name is None or name not in self._live:
            have = ", ".join(self._live) or "none"
            raise UnknownModelError(f"unknown model {name!r}; there are: {have}")
        return self._live[name]

    def _usable(self, name: Optional[str]) -> Model:
        model = self._found(name)
        if not model.ready:
            raise NotReadyError(f"model {model.name} is {model.state}: try again soon")
        return model

    def _retire(self, model: Model) -> None:
        """Begin to close a model that gets no more users."""
        thread = Thread(target=self._drain, args=[model], name=f"retire-{model.name}")
        self._retiring = [each for each in self._retiring if each.is_alive()] + [thread]
        thread.start()

    def _drain(self, model: Model) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._users.get(model))
            self._users.pop(model, None)
        model.close()
