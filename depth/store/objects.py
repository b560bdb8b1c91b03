"""The protocol of a store: bytes under keys. `open_store` opens one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from mmap import mmap
from typing import BinaryIO, Callable, Optional, Protocol

from depth.errors import InputError, StoreError, not_installed

OnBytes = Callable[[int], None]  # gets the number of bytes since the last call; < 0 on a retry

_MODULES = {"s3": "depth.store.s3", "file": "depth.store.folder"}


@dataclass(frozen=True)
class Versioned:
    data: bytes
    tag: str  # changes with the bytes


@dataclass(frozen=True)
class Listed:
    key: str
    modified: datetime
    size_bytes: int
    tag: str  # another for other bytes; not that of `Versioned` in a folder


class ObjectStore(Protocol):
    """Keys are text with forward slashes, made in names.py. Every method raises StoreError."""

    @property
    def name(self) -> str:
        """As users write it: s3://bucket/prefix."""

    def read(self, key: str, max_bytes: int) -> Optional[Versioned]:
        """All bytes of a small object, or None. More than `max_bytes` raise TooLargeError."""

    def write(self, key: str, data: bytes) -> None:
        """Create or replace. Readers see the old bytes or the new bytes, never a part."""

    def write_if(self, key: str, data: bytes, tag: Optional[str]) -> bool:
        """Replace the object if it has this tag, or create it (None). False if the tag differs."""

    def upload(self, key: str, data: mmap, sha256: str, on_bytes: OnBytes) -> int:
        """Write a mapped file whose hash is known; returns how many bytes were sent.

        Nothing is sent if the object is there. The store may close `data`. `on_bytes` may be called
        from any thread.
        """

    def download(self, key: str, file: BinaryIO, size_bytes: int, on_bytes: OnBytes) -> None:
        """Write the object's bytes to `file`. An object of another size writes nothing."""

    def listed(self, prefix: str, after: str = "", until: Optional[str] = None) -> Iterator[Listed]:
        """Every object whose key begins with this, in the order of UTF-8, from `after` on.

        after, until  whole keys: `after` itself is left out, `until` is the last that may come
        """

    def remove(self, key: str) -> None:
        """Remove an object if it is there."""

    def close(self) -> None:
        """Close the connections."""


@contextmanager
def open_store(location: str, endpoint_url: Optional[str] = None) -> Iterator[ObjectStore]:
    """The store at s3://bucket/prefix, file:///folder or a plain folder, until the block ends.

    `endpoint_url` is for S3 servers other than AWS. Raises InputError for any other location and
    StoreError if the store cannot be used.
    """
    scheme, separator, rest = location.partition("://")
    if not separator:
        scheme, rest = "file", location
    if scheme not in _MODULES:
        raise InputError(
            f"store {location!r}: expected s3://bucket/prefix, file:///folder or a folder"
        )
    try:
        module = import_module(_MODULES[scheme])
    except ImportError as error:
        raise StoreError(f"{location}: needs {not_installed(error)}") from error
    with closing(module.open_location(rest, endpoint_url)) as store:
        yield store
