"""The published checkpoints, as data: where each file is, which bytes it has, and its licence.

A file whose sha256 is known is compared with it before it is used; None means "unverified". The
rows are the families' (`published.FILES`). Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Optional

from depth.errors import InputError
from depth.family import FAMILIES, models, module

APACHE = "Apache-2.0"
CC_BY_NC = "CC-BY-NC-4.0"  # not for commercial use

MODEL, SPACE = "model", "space"  # what a repository of the hub is


@dataclass(frozen=True)
class PublishedFile:
    """One checkpoint on the model hub."""

    model: str  # a name in depth.family.models(), or of a model that this version does not have
    repository: str  # "owner/name" on the hub
    filename: str  # path inside the repository
    revision: str  # commit of the repository, or a branch
    sha256: Optional[str]  # hex; None: nobody told us, so the bytes cannot be verified
    size_bytes: Optional[int]
    licence: str
    repository_type: str = MODEL
    saved_as: Optional[str] = None  # its name here, where another file's is the same on the hub

    @property
    def local_name(self) -> str:
        """What the file is called in a folder of checkpoints."""
        return self.saved_as or PurePosixPath(self.filename).name

    @property
    def needs_acceptance(self) -> bool:
        """Whether the user has to accept the licence: true of everything but plain Apache-2.0."""
        return self.licence != APACHE

    @property
    def page_url(self) -> str:
        """The page where a person reads the card and downloads the file."""
        kind = "spaces/" if self.repository_type == SPACE else ""
        return f"https://huggingface.co/{kind}{self.repository}"


@cache
def known_files() -> tuple[PublishedFile, ...]:
    """Every file of every family, also of models that this version does not have."""
    return tuple(file for family in FAMILIES for file in module(family, "published").FILES)


@cache
def published_files() -> dict[str, PublishedFile]:
    """The file of each model that this version has, by the model's name."""
    names = models()
    found: dict[str, PublishedFile] = {}
    for file in known_files():
        if file.model in names:
            found.setdefault(file.model, file)
    return found


def published(model_name: str) -> PublishedFile:
    """The file of a model; raises InputError that lists what is published."""
    file = published_files().get(model_name)
    if file is None:
        reasons: dict[str, str] = {}
        for family in FAMILIES:
            reasons.update(module(family, "published").UNPUBLISHED)
        raise InputError(
            f"no published checkpoint for {model_name!r}: "
            f"{reasons.get(model_name, 'there is no such model')}; "
            f"choose from {', '.join(published_files())}"
        )
    return file


def by_sha256(digest: str) -> Optional[PublishedFile]:
    """The published file with these bytes (hex sha256, any case); None if it is not one of them."""
    wanted = digest.lower()
    return next((file for file in known_files() if file.sha256 == wanted), None)
