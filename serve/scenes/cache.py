"""What the first stage says of images, kept: windows that overlap compute a frame once."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Optional

import numpy as np

from depth.errors import InputError
from depth.maps.result import FloatArray
from serve.arrays import Arrays

DEFAULT_BYTES = 512 << 20


@dataclass(frozen=True)
class CacheCounts:
    """What a cache has done, at one moment."""

    hits: int
    misses: int
    entries: int
    bytes: int  # of the entries


class PrefixCache:
    """Outputs of the first stage by the pixels that gave them. Safe in any thread.

    limit_bytes  of all entries together; the least recently used go first. 0 keeps nothing
    """

    def __init__(self, limit_bytes: int = DEFAULT_BYTES) -> None:
        if limit_bytes < 0:
            raise InputError(f"cache of {limit_bytes} bytes: expected 0 or more")
        self._limit = limit_bytes
        self._lock = Lock()
        self._kept: OrderedDict[bytes, dict[str, FloatArray]] = OrderedDict()
        self._bytes = self._hits = self._misses = 0

    def get(self, key: bytes) -> Optional[Arrays]:
        """The outputs of a key, without the batch axis, or None."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                self._misses += 1
                return None
            self._hits += 1
            self._kept.move_to_end(key)
            return found

    def put(self, key: bytes, outputs: Arrays) -> None:
        """Keep a copy: the arrays may be parts of a whole batch."""
        size = sum(array.nbytes for array in outputs.values())
        if size > self._limit:
            return
        copied = {name: np.array(array) for name, array in outputs.items()}
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = copied
            self._bytes += size
            while self._bytes > self._limit:
                _, gone = self._kept.popitem(last=False)
                self._bytes -= sum(array.nbytes for array in gone.values())

    def counts(self) -> CacheCounts:
        with self._lock:
            return CacheCounts(self._hits, self._misses, len(self._kept), self._bytes)


def keys_of(identity: str) -> Callable[[FloatArray], bytes]:
    """What makes keys of network inputs [3,H,W], for the programs of an artifact."""

    def key(image: FloatArray) -> bytes:
        found = hashlib.sha256(f"{identity} {image.shape} {image.dtype}".encode())
        found.update(np.ascontiguousarray(image).data)
        return found.digest()

    return key
