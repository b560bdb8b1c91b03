"""What makes the scenes of a service: loaded for the first task, and again on demand."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Any, Optional

from serve.scenes.asked import MakeScene


class SceneModel:
    """Loads once, however many ask. Safe in any thread.

    load    raises what its caller lets through
    name    what /status calls `model_dir`
    device  what /status says
    """

    def __init__(self, load: Callable[[], MakeScene], name: str, device: str = "cpu") -> None:
        self._load = load
        self._name = name
        self._device = device
        self._lock = Lock()
        self._make: Optional[MakeScene] = None
        self._load_time: Optional[float] = None  # s that it took
        self._loaded_at = 0.0
        self._last_used: Optional[float] = None

    @property
    def loaded(self) -> bool:
        return self._make is not None

    def get(self) -> MakeScene:
        """Raises what `load` raises."""
        with self._lock:
            self._last_used = time.time()
            if self._make is None:
                begun = time.monotonic()
                self._make = self._load()
                self._load_time = time.monotonic() - begun
                self._loaded_at = time.monotonic()
            return self._make

    def reload(self) -> None:
        """Load again. Nobody may use what was loaded before. Raises as `get`."""
        self.close()
        self.get()

    def close(self) -> None:
        """Close what is loaded, if it can be closed."""
        with self._lock:
            close = getattr(self._make, "close", None)
            self._make = None
            if close is not None:
                close()

    def about(self) -> dict[str, Any]:
        """The answer of /status, under upstream's names."""
        make = self._make
        return {
            "model_loaded": make is not None,
            "model_dir": self._name,
            "device": self._device,
            "load_time": self._load_time,
            "last_used": self._last_used,
            "uptime": 0.0 if make is None else time.monotonic() - self._loaded_at,
            "gpu_memory": None,
        }
