"""The models that the operator named: loaded, unloaded, and exchanged when an alias moves."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import Callable, Optional

from depth.console import one_line
from depth.errors import DepthAnythingError, InputError
from serve.errors import ServeError
from serve.library import Library
from serve.service.model import Model
from serve.service.models import Models, UnknownModelError
from serve.service.sources import Source

logger = logging.getLogger(__name__)

READY, LOADING, UNAVAILABLE = "READY", "LOADING", "UNAVAILABLE"  # states of the protocol
_LONGEST_PAUSE_S = 600.0  # before a load that failed is tried again

Make = Callable[[str, Library], Model]


class LoadError(ServeError):
    """A model could not be loaded. What answered before under its name still answers."""


@dataclass
class _Entry:
    source: Source
    busy: Lock = field(default_factory=Lock)  # held by whoever loads or unloads
    live: Optional[Model] = None
    stamp: str = ""  # of what is live
    wanted: bool = True  # False once a caller has unloaded it
    loading: bool = False
    reason: str = ""  # why it is not loaded, or why the last load failed
    failures: int = 0  # of loads in a row
    again_s: float = 0.0  # when a watcher tries again


class Repository:
    """Models by the names that the operator gave them. Safe in any thread.

    make    a model of a name and its artifacts, not warmed up yet; needed if there are `sources`
    poll_s  between looks at aliases once all models are loaded; 0: nobody looks
    """

    def __init__(
        self,
        models: Models,
        sources: Sequence[Source] = (),
        make: Optional[Make] = None,
        poll_s: float = 0.0,
    ) -> None:
        if not 0 <= poll_s <= 86_400:
            raise InputError(f"poll_s is {poll_s}: expected 0 to 86400 seconds")
        self._poll_s = poll_s
        self._models = models
        if sources and make is None:
            raise InputError("sources without what makes a model of one")
        self._make = make or _no_model
        self._entries = {source.name: _Entry(source) for source in sources}
        self._stopped = Event()
        self._watcher: Optional[Thread] = None

    @property
    def names(self) -> list[str]:
        return list(self._entries)

    @property
    def starting(self) -> bool:
        """Whether a model that is wanted was never loaded."""
        return any(e.wanted and e.live is None for e in self._entries.values())

    def state(self, name: str) -> tuple[str, str]:
        """State of a model, and the reason: why it is not loaded, or why its last load failed.

        Raises UnknownModelError.
        """
        entry = self._entry(name)
        if entry.live is not None:
            return READY, entry.reason
        return (LOADING if entry.loading else UNAVAILABLE), entry.reason

    def load_all(self) -> None:
        """Load every model in turn, then watch the aliases.

        Raises what the first load that fails raises.
        """
        for entry in self._entries.values():
            with entry.busy:
                self._load(entry)
        if self._poll_s and any(e.source.alias for e in self._entries.values()):
            self._watcher = Thread(target=self._watch, name="aliases", daemon=True)
            self._watcher.start()

    def load(self, name: str) -> None:
        """Load what the source of a model names now; nothing happens if that is loaded already.

        The earlier model answers until the new model has run once on every core. Raises
        UnknownModelError or LoadError.
        """
        entry = self._entry(name)
        with entry.busy:
            try:
                if entry.live is None or entry.source.stamp() != entry.stamp:
                    self._load(entry)
            except (DepthAnythingError, ServeError) as error:
                _note(entry, error)
                raise LoadError(f"failed to load {name}: {error}") from error
            entry.wanted, entry.reason = True, ""

    def unload(self, name: str) -> None:
        """Take a model out; it finishes its requests. Raises UnknownModelError."""
        entry = self._entry(name)
        with entry.busy:
            entry.wanted = False
            if entry.live is not None:
                self._models.remove(name)
                entry.live, entry.stamp, entry.reason = None, "", "unloaded"
                logger.info("%s: unloaded", name)

    def poll(self) -> None:
        """Load what aliases have moved to. A failure is logged once and noted, never raised."""
        for entry in self._entries.values():
            if entry.source.alias is None:
                continue
            with entry.busy:
                if entry.wanted and not self._stopped.is_set():
                    self._poll(entry)

    def close(self) -> None:
        """End the watch. A load that is under way is finished."""
        self._stopped.set()
        if self._watcher is not None:
            self._watcher.join()

    def _watch(self) -> None:
        while not self._stopped.wait(self._poll_s):
            self.poll()

    def _poll(self, entry: _Entry) -> None:
        try:
            stamp = entry.source.stamp()
            if stamp == entry.stamp:
                entry.reason, entry.failures, entry.again_s = "", 0, 0.0
            elif time.monotonic() >= entry.again_s:
                self._load(entry)
        except Exception as error:  # the watch has to go on
            if not isinstance(error, (DepthAnythingError, ServeError)):
                logger.error("%s: unexpected error", entry.source.name, exc_info=error)
            _note(entry, error)
            entry.failures += 1
            pause_s = min(self._poll_s * 2.0 ** min(entry.failures, 20), _LONGEST_PAUSE_S)
            entry.again_s = time.monotonic() + pause_s

    def _load(self, entry: _Entry) -> None:
        name, earlier = entry.source.name, entry.stamp
        entry.loading = True
        try:
            stamp, library = entry.source.open()
            model = self._make(name, library)
            try:
                model.warm_up()
                self._models.put(model)
            except BaseException:
                model.close()
                raise
            entry.live, entry.stamp, entry.reason, entry.failures = model, stamp, "", 0
            logger.info("%s: %s now answers (before: %s)", name, stamp[:12], earlier[:12] or "none")
        finally:
            entry.loading = False

    def _entry(self, name: str) -> _Entry:
        if name not in self._entries:
            have = ", ".join(self._entries) or "none"
            raise UnknownModelError(
                f"unknown model {name[:100]!r}; the operator of this service named: {have}"
            )
        return self._entries[name]


def _no_model(name: str, _library: Library) -> Model:
    raise InputError(f"{name}: nothing was given that makes a model of its artifacts")


def _note(entry: _Entry, error: Exception) -> None:
    reason = one_line(str(error))
    if reason != entry.reason:
        kept = "the model before it still answers" if entry.live else "no model answers"
        logger.error("%s: failed to load: %s; %s", entry.source.name, reason, kept)
    entry.reason = reason
