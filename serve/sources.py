"""Where a pipeline's programs come from: folders, a store, or a callable that builds them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Optional, Union

from depth.artifact.manifest import Artifact, read_artifact
from depth.errors import InputError
from depth.store.catalogue import find
from depth.store.objects import open_store
from depth.store.pull import pull
from serve.library import Build, Library

Place = Union[str, "os.PathLike[str]"]


def library_of(
    source: Union[Place, Sequence[Place], Build],
    alias: Optional[str],
    folder: Path,
    endpoint_url: Optional[str],
    allow_unverified: bool,
) -> Library:
    """A library of `source`. With an `alias`, `source` is a store, and `folder` keeps artifacts.

    Raises InputError, StoreError, ArtifactError or RefusedError.
    """
    if callable(source):
        return Library((), source, allow_unverified=allow_unverified)
    artifacts = artifacts_of(source, alias, folder, endpoint_url)
    return Library(artifacts, allow_unverified=allow_unverified)


def artifacts_of(
    source: Union[Place, Sequence[Place]],
    alias: Optional[str],
    folder: Path,
    endpoint_url: Optional[str],
) -> list[Artifact]:
    """The artifacts of folders. Arguments and errors as those of `library_of`."""
    places = [source] if isinstance(source, (str, os.PathLike)) else list(source)
    if alias is not None:
        check_choice("number of stores", str(len(places)), ("1",))
        with open_store(os.fspath(places[0]), endpoint_url) as store:
            places = [pull(store, find(store, alias), folder)]
    for place in places:
        if "://" in os.fspath(place):
            raise InputError(f"{place}: a store; name an artifact in it with alias=")
    if not places:
        raise InputError("no artifact: expected a folder, or several")
    return [read_artifact(Path(place)) for place in places]


def check_choice(what: str, given: str, known: Sequence[str]) -> None:
    """Raises InputError for a value that is none of the known ones."""
    if given not in known:
        raise InputError(f"{what} {given!r}: expected {' or '.join(known)}")
