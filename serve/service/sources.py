"""Where the artifact of a model comes from: folders, or an alias in a store."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from depth.artifact.manifest import Artifact, read_artifact
from depth.errors import InputError
from depth.store.aliases import read_alias
from depth.store.catalogue import find
from depth.store.names import is_alias
from depth.store.objects import open_store
from depth.store.pull import pull
from serve.errors import RefusedError
from serve.library import Library

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Source:
    """Where the artifact of a model comes from.

    name      of the model, in requests
    places    folders of artifacts, or one store if there is an `alias`
    alias     in the store; it may move to another artifact
    keep      folder that artifacts of a store are pulled into
    """

    name: str
    places: tuple[str, ...]
    alias: Optional[str] = None
    keep: Path = Path("artifacts")
    endpoint_url: Optional[str] = None
    allow_unverified: bool = False

    def stamp(self) -> str:
        """What the source names at present: it changes with the artifacts and their figures.

        Raises ArtifactError, StoreError or InputError.
        """
        if self.alias is None:
            return _stamp([read_artifact(Path(place)) for place in self.places])
        with open_store(self.places[0], self.endpoint_url) as store:
            found = read_alias(store, self.alias)
        return f"{found.alias.identity} {found.alias.manifest_sha256}" if found else ""

    def open(self) -> tuple[str, Library]:
        """The artifacts, and the stamp of these very artifacts; those of a store are pulled first.

        Raises as `stamp`, and RefusedError for artifacts that must not be served.
        """
        if self.alias is None:
            artifacts = [read_artifact(Path(place)) for place in self.places]
        else:
            artifacts = [self._pulled(self.alias)]
        return _stamp(artifacts), Library(artifacts, allow_unverified=self.allow_unverified)

    def _pulled(self, alias: str) -> Artifact:
        with open_store(self.places[0], self.endpoint_url) as store:
            entry = find(store, alias)
            artifact = read_artifact(pull(store, entry, self.keep), entry.identity)
        if artifact.manifest_sha256 != entry.manifest_sha256:
            raise RefusedError(
                f"{artifact.folder}: its measured figures are not those of {alias}; move the "
                "folder away, and it is pulled again"
            )
        return artifact


def source_of(
    text: str,
    keep: Path = Path("artifacts"),
    endpoint_url: Optional[str] = None,
    allow_unverified: bool = False,
) -> Source:
    """The source of NAME=FOLDER or NAME=STORE#ALIAS. Raises InputError for any other text."""
    name, separator, place = text.partition("=")
    if not separator or not _NAME.fullmatch(name) or not place:
        raise InputError(
            f"--model {text!r}: expected NAME=FOLDER or NAME=STORE#ALIAS; a name has letters, "
            "digits, dots, hyphens and underscores"
        )
    store, mark, alias = place.rpartition("#")
    if not mark:
        if "://" in place:
            raise InputError(f"--model {text!r}: a store; add #ALIAS")
        return Source(name, (place,), None, keep, None, allow_unverified)
    if not store or not is_alias(alias):
        raise InputError(f"--model {text!r}: expected an alias like vits/inf1/production after #")
    return Source(name, (store,), alias, keep, endpoint_url, allow_unverified)


def _stamp(artifacts: list[Artifact]) -> str:
    return ", ".join(f"{each.identity} {each.manifest_sha256}" for each in artifacts)
