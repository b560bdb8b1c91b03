"""A test whether a store honours conditional puts: some servers ignore their condition."""

from __future__ import annotations

import logging
import uuid

from depth.errors import StoreError
from depth.store.objects import ObjectStore

logger = logging.getLogger(__name__)

_DATA = b"A job of Depth Anything tests whether this store honours conditional puts.\n"
PREFIX = ".probe-"


def require_conditional_puts(store: ObjectStore) -> None:
    """Raises StoreError unless the second conditional put of an object is refused.

    The object has a name of its own, and goes again.
    """
    key = f"{PREFIX}{uuid.uuid4().hex}"
    first = store.write_if(key, _DATA, None)
    try:
        second = store.write_if(key, _DATA, None)
    finally:
        _remove(store, key)
    if not first:
        raise StoreError(
            f"{store.name}: refuses to create an object that is not there (If-None-Match: *); use "
            "a store that honours conditional puts"
        )
    if second:
        raise StoreError(
            f"{store.name}: ignores the condition of a conditional put (If-None-Match: *), so two "
            "workers could overwrite each other's results; use a store that honours it"
        )


def _remove(store: ObjectStore, key: str) -> None:
    try:
        store.remove(key)
    except StoreError as error:
        logger.warning("%s/%s: cannot be removed, and may stay: %s", store.name, key, error)
