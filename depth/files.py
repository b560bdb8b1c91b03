"""Files: opened only if they are files, hashed, written whole onto the disk, and locked.

Raises OSError where nothing else is said. A file that is a pipe, a device or a folder has the
reason "not a regular file".
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import stat
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, Optional, Union

from depth.errors import StoreError

logger = logging.getLogger(__name__)

NO_LINK = os.O_NOFOLLOW  # a flag of open_regular: the name itself must not be a link

_CHUNK_BYTES = 1 << 20
_TEMPORARY = ".depth-*.tmp"
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP)  # of a folder, on some network file systems
_FULL = (errno.ENOSPC, errno.EDQUOT)


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open a regular file; returns its descriptor. Never waits, as opening a pipe would.

    flags  of os.open. With NO_LINK, a link is refused
    """
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP and flags & NO_LINK:
            raise OSError(errno.ELOOP, "a link, which is not followed here", str(path)) from error
        if error.errno not in (errno.ENXIO, errno.EISDIR):  # a pipe or a device, a folder
            raise
        raise _not_regular(path) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_regular(path)
    return descriptor


def read_regular(path: Path, limit_bytes: int) -> bytes:
    """The bytes of a regular file. Raises OSError for a file with more bytes than the limit."""
    with reading(path) as file:
        data = file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise OSError(errno.EFBIG, f"expected at most {limit_bytes} bytes", str(path))
    return data


def read_text(path: Path, limit_bytes: int) -> str:
    """A text that a user wrote: UTF-8, with or without a byte order mark, as editors of Windows.

    Raises UnicodeDecodeError too.
    """
    return read_regular(path, limit_bytes).decode("utf-8-sig")


def reading(path: Path, flags: int = 0) -> BufferedReader:
    """A regular file, open for reading. `flags`: NO_LINK, or none."""
    return os.fdopen(open_regular(path, os.O_RDONLY | flags), "rb")


def sha256_file(path: Path, flags: int = 0) -> str:
    """Hex SHA-256 of a regular file's bytes, read in pieces; `flags` as of `reading`."""
    digest = hashlib.sha256()
    with reading(path, flags) as file:
        for chunk in iter(lambda: file.read(_CHUNK_BYTES), b""):
            digest.update(chunk)
    return digest.hexdigest()


def has_bytes(path: Path, size_bytes: int, sha256: str) -> bool:
    """Whether there is a regular file with these bytes. Never raises."""
    try:
        return path.stat().st_size == size_bytes and sha256_file(path) == sha256
    except (OSError, ValueError):  # ValueError: a name with a zero byte
        return False


def localised(data: Any) -> Any:
    """Parsed JSON whose texts are as this process's locale has file names.

    A name beyond ASCII is read in a locale such as C as surrogates, and may be stored so.
    """
    if isinstance(data, dict):
        return {localised(key): localised(value) for key, value in data.items()}
    if isinstance(data, list):
        return [*map(localised, data)]
    if not isinstance(data, str) or data.isascii():
        return data
    try:
        return os.fsdecode(data.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:  # a surrogate that stands for no byte: no file has that name
        return data


def sha256_bytes(data: Union[bytes, memoryview]) -> str:
    """Hex SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def write_whole(path: Path, data: Union[str, bytes]) -> None:
    """All of a file or nothing, through a temporary sibling. A link is replaced, never followed.

    Characters that UTF-8 cannot encode, as in some paths, are written with backslashes.
    """
    with replacing(path) as file:
        file.write(data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that gets the path's name at the end of the block, when it is on the disk.

    If the block raises, what is at the path stays.
    """
    with _temporary(path.parent) as (temporary, file):
        yield file
        _onto_disk(file)
        temporary.replace(path)
        sync_folder(path.parent)


def write_set(folder: Path, files: Sequence[tuple[str, Union[bytes, memoryview]]]) -> list[Path]:
    """Files of one set, written in full onto the disk before the first gets its name.

    The last file names the others: an old file of its name goes first, and the new file comes last.
    Names may have a folder inside `folder`. Folders are made. Temporary files of a killed process:
    see `remove_left_over`.
    """
    make_folders(folder)
    waiting: list[tuple[Path, Path]] = []  # temporary, final
    with ExitStack() as stack:
        for name, data in files:
            final = folder / name
            if final.parent != folder:
                make_folders(final.parent)
            with suppress(FileNotFoundError):
                final.lstat()  # raises for a name that is too long, before anything is replaced
            temporary, file = stack.enter_context(_temporary(folder))
            waiting.append((temporary, final))
            file.write(data)
            _onto_disk(file)
        finals = [final for _, final in waiting]
        finals[-1].unlink(missing_ok=True)  # it spoke of the files that are now replaced
        for temporary, final in waiting:
            temporary.replace(final)
        for place in {folder, *(final.parent for final in finals)}:
            sync_folder(place)
    return finals


def remove_left_over(folders: Iterable[Path]) -> None:
    """Remove temporary files that killed processes left in these folders.

    A file that a process is writing is locked, and stays. So do all without locks or permission.
    """
    for path in (path for folder in folders for path in folder.glob(_TEMPORARY)):
        with suppress(OSError), os.fdopen(open_regular(path, os.O_RDONLY | NO_LINK)) as file:
            lock_now(file.fileno())
            path.unlink()


def make_folders(folder: Path) -> None:
    """Make a folder and its parents, onto the disk."""
    missing = []
    for place in (folder, *folder.parents):
        if place.exists():
            break
        missing.append(place)
    folder.mkdir(parents=True, exist_ok=True)
    for place in missing:
        sync_folder(place.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)


def sync_tree(top: Path) -> None:
    """Wait until a folder, and every file and folder below it, is on the disk.

    Raises OSError for what is neither a regular file nor a folder.
    """
    for folder, _, names in os.walk(top):
        for name in names:
            descriptor = open_regular(Path(folder, name), os.O_RDONLY | NO_LINK)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(Path(folder))


def is_full(error: Optional[BaseException]) -> bool:
    """Whether an error, or the error that it was raised from, says that a disk is full."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        error = error.__cause__
    return False


@contextmanager
def _temporary(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file with a short name of its own, locked; removed unless it got another name."""
    path = folder / _TEMPORARY.replace("*", uuid.uuid4().hex)
    with path.open("xb") as file:  # x: a link that has this name is not followed
        try:
            with suppress(OSError):  # a file system without locks
                lock_now(file.fileno())
            yield path, file
        finally:
            path.unlink(missing_ok=True)


def _onto_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _not_regular(path: Path) -> OSError:
    return OSError(errno.EINVAL, "not a regular file", str(path))


def lock_now(handle: int) -> None:
    """Lock an open file or folder until it is closed or the process ends.

    Raises BlockingIOError if another process has it, OSError where the file system has no locks.
    """
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def wait_for_lock(handle: int, busy: str) -> None:
    """Wait for the lock; if another process has it, a line says "waiting for another `busy`".

    Raises OSError where the file system has no locks.
    """
    try:
        lock_now(handle)
    except BlockingIOError:
        logger.warning("waiting for another %s", busy)
        fcntl.flock(handle, fcntl.LOCK_EX)


@contextmanager
def locked(folder: Path, always: bool = True) -> Iterator[None]:
    """Wait for, then hold the lock on a folder; it ends with the process.

    Where the file system has no locks: raises StoreError, or only logs it if not `always`. Raises
    OSError for a folder that cannot be opened.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            wait_for_lock(handle, f"process that uses {folder}")
        except OSError as error:
            problem = f"{folder}: cannot be locked ({error.strerror})"
            if always:
                raise StoreError(f"{problem}; use a folder on another file system") from error
            logger.warning("%s: run one process at a time", problem)
        yield
    finally:
        os.close(handle)


@contextmanager
def turn(lock: Path) -> Iterator[None]:
    """Wait for, then hold the lock on a file, which is made and stays; it ends with the process.

    Without file locks it does not wait.
    """
    with ExitStack() as stack:
        with suppress(OSError):  # a file system without locks, or read-only
            lock.parent.mkdir(parents=True, exist_ok=True)
            handle = open_regular(lock, os.O_RDWR | os.O_CREAT)
            stack.callback(os.close, handle)
            wait_for_lock(handle, f"process that compiles the same program: {lock}")
        yield
