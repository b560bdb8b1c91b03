"""A Unix socket that only its user can reach, and that one worker at a time listens on."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from depth.errors import DepthFileError, InputError
from depth.files import NO_LINK, lock_now, open_regular
from serve.sidecar.shared import check_private

_MAX_PATH_BYTES = 107  # sun_path of unix(7), less its zero
_WAITING = 16  # connections that the system holds before they are accepted


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """A socket that listens at `path`, mode 0600, and is removed at the end.

    The socket of a dead worker is replaced. Raises InputError for a path that is too long or taken
    by something else, and for a worker that listens there; DepthFileError for a folder that others
    may enter, or if the file system refuses.
    """
    if len(os.fsencode(path)) > _MAX_PATH_BYTES:
        raise InputError(f"{path}: a path of at most {_MAX_PATH_BYTES} bytes was expected")
    try:
        check_private(path.parent)
        lock = open_regular(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | NO_LINK)
    except OSError as error:
        raise DepthFileError(f"{path}: cannot listen there: {error.strerror}") from error
    try:
        with _bound(path, lock) as server:
            try:
                yield server
            finally:
                with suppress(OSError):
                    path.unlink()
    finally:
        os.close(lock)


def _bound(path: Path, lock: int) -> socket.socket:
    taken = InputError(f"{path}: another worker listens there; use it, or name another path")
    try:
        lock_now(lock)
    except BlockingIOError:
        raise taken from None
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP):  # the connection below still tells
            raise DepthFileError(f"{path}: {error.strerror}") from error
    if os.path.lexists(path):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise InputError(f"{path}: is there and is no socket; name another path")
        if _answers(path):
            raise taken
        path.unlink()
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        server.bind(str(path))
        path.chmod(0o600)
        server.listen(_WAITING)
    except OSError as error:
        server.close()
        raise DepthFileError(f"{path}: cannot listen there: {error.strerror}") from error
    return server


def _answers(path: Path) -> bool:
    """Whether a process listens at a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asked:
        asked.settimeout(1.0)
        try:
            asked.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:  # a full queue of a worker, or no permission
            return True
    return True
