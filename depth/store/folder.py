"""A store in a folder. Several machines may share it."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from mmap import mmap
from pathlib import Path
from typing import BinaryIO, Optional

from depth.errors import InputError, StoreError, TooLargeError
from depth.files import (
    NO_LINK,
    has_bytes,
    locked,
    make_folders,
    reading,
    replacing,
    sha256_bytes,
    sha256_file,
    sync_folder,
    write_whole,
)
from depth.store.objects import Listed, OnBytes, Versioned

_CHUNK_BYTES = 1 << 20
_NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS)
_LAST = "\U0010ffff"  # after every character of a key
_HIDDEN = "."  # prefix of temporary files; no part of a key begins with it


class FolderStore:
    """Objects as files: a key is a path below the root."""

    def __init__(self, root: Path) -> None:
        self.name = str(root)
        self._root = root
        with self._translated():
            there = root.is_dir()
        if not there:
            raise StoreError(
                f"{root}: no such folder; create it, or correct the path (s3://bucket/prefix is S3)"
            )

    def read(self, key: str, max_bytes: int) -> Optional[Versioned]:
        with self._translated():
            try:
                with self._opened(key) as opened:
                    data = opened.read(max_bytes + 1)
            except (FileNotFoundError, NotADirectoryError):
                return None
        if len(data) > max_bytes:
            raise TooLargeError(f"{self.name}/{key}: over {max_bytes} bytes; refused")
        return Versioned(data, sha256_bytes(data))

    def write(self, key: str, data: bytes) -> None:
        with self._translated(), self._replaced(key) as file:
            file.write(data)

    def write_if(self, key: str, data: bytes, tag: Optional[str]) -> bool:
        if tag is None:
            with self._translated():
                make_folders((self._root / key).parent)
                try:
                    return _created(self._root / key, data)
                except OSError as error:
                    if error.errno not in _NO_HARD_LINKS:
                        raise
        with self._translated(), locked(self._root):
            path = self._root / key
            found = sha256_file(path, NO_LINK) if os.path.lexists(path) else None
            if found != tag:
                return False
            with self._replaced(key) as file:
                file.write(data)
            return True

    def upload(self, key: str, data: mmap, sha256: str, on_bytes: OnBytes) -> int:
        path = self._root / key
        with self._translated():
            if not path.is_symlink() and has_bytes(path, len(data), sha256):
                on_bytes(len(data))
                return 0
            with self._replaced(key) as file:
                for chunk in iter(lambda: data.read(_CHUNK_BYTES), b""):
                    on_bytes(file.write(chunk))
        return len(data)

    def download(self, key: str, file: BinaryIO, size_bytes: int, on_bytes: OnBytes) -> None:
        for chunk in self._chunks(key, size_bytes):
            on_bytes(file.write(chunk))

    def listed(self, prefix: str, after: str = "", until: Optional[str] = None) -> Iterator[Listed]:
        top = prefix.rpartition("/")[0]
        with self._translated():
            for key in self._keys(f"{top}/" if top else "", max(after, prefix), until):
                if key.startswith(prefix) and key > after:
                    facts = (self._root / key).lstat()
                    tag = f"{facts.st_mtime_ns}-{facts.st_size}"
                    modified = datetime.fromtimestamp(facts.st_mtime, timezone.utc)
                    yield Listed(key, modified, facts.st_size, tag)

    def remove(self, key: str) -> None:
        with self._translated():
            (self._root / key).unlink(missing_ok=True)

    def _keys(self, folder: str, least: str, most: Optional[str]) -> Iterator[str]:
        """Keys of the files in a folder, "" or with / at its end, in order, from least to most."""
        try:
            with os.scandir(self._root / folder) as entries:
                found = [
                    (f"{folder}{entry.name}{'/' * entry.is_dir(follow_symlinks=False)}", entry)
                    for entry in entries
                    if not entry.name.startswith(_HIDDEN)
                ]
        except (FileNotFoundError, NotADirectoryError):
            return
        for key, entry in sorted(found, key=lambda each: each[0]):
            if most is not None and key > most:
                return
            if key.endswith("/"):
                if least < key + _LAST:
                    yield from self._keys(key, least, most)
            elif key >= least and entry.is_file(follow_symlinks=False):
                yield key

    def close(self) -> None:
        """A folder needs no closing."""

    def _chunks(self, key: str, size_bytes: int) -> Iterator[bytes]:
        path = self._root / key
        with self._translated():
            if not path.is_file():
                raise StoreError(f"{path}: missing; push the artifact again")
            with self._opened(key) as opened:
                if os.fstat(opened.fileno()).st_size == size_bytes:
                    yield from iter(lambda: opened.read(_CHUNK_BYTES), b"")

    def _opened(self, key: str) -> BinaryIO:
        """An object, open for reading. A link could lead to any file of this machine."""
        return reading(self._root / key, NO_LINK)

    @contextmanager
    def _replaced(self, key: str) -> Iterator[BinaryIO]:
        """A file to write to, which gets the key's name when the block ends."""
        path = self._root / key
        make_folders(path.parent)
        with replacing(path) as file:
            yield file

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = error.filename or self.name
            raise StoreError(f"{where}: {error.strerror}; check the folder's rights") from error


def _created(path: Path, data: bytes) -> bool:
    """Make a file; False if the name is taken. Of several processes at once, one gets True."""
    temporary = path.with_name(f"{_HIDDEN}depth-{uuid.uuid4().hex}.tmp")
    try:
        write_whole(temporary, data)
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


def open_location(location: str, endpoint_url: Optional[str]) -> FolderStore:
    """The store in a folder."""
    if endpoint_url is not None:
        raise InputError(f"store {location!r}: --endpoint-url is for s3:// only")
    return FolderStore(Path(location))
