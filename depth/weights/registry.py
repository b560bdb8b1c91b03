"""The published checkpoints, as data: where each file is, which bytes it has, and its licence.

A file whose sha256 is known is compared with it before it is used; None means "unverified". The
rows are the families' (`published.FILES`). Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Optional

from depth.errors import InputError
from depth.family import FAMILIES, models, module

APACHE = "Apache-2.0"
CC_BY_NC = "CC-BY-NC-4.0"  # not for commercial use

CHECKPOINTS = Path("checkpoints")  # the default folder, in the working directory
_INSTALLED = Path(__file__).resolve().parent / "checkpoints"  # what a wheel brings
# The project's own.
OWN_CHECKPOINTS = _INSTALLED if _INSTALLED.is_dir() else _INSTALLED.parents[2] / "checkpoints"

MODEL, SPACE = "model", "space"  # what a repository of the hub is
RELEASE = "release"  # of a repository on GitHub: `revision` is its tag
GITHUB = "https://github.com"


@dataclass(frozen=True)
class PublishedFile:
    """One checkpoint on the model hub, or among the files of a release on GitHub."""

    model: str  # a name in depth.family.models(), or of a model that this version does not have
    repository: str  # "owner/name" on the hub
    filename: str  # path inside the repository
    revision: str  # commit of the repository, or a branch
    sha256: Optional[str]  # hex; None: not published, so the bytes cannot be verified
    size_bytes: Optional[int]
    licence: str
    repository_type: str = MODEL
    saved_as: Optional[str] = None  # local name, if files on the hub share a name

    @property
    def local_name(self) -> str:
        """The name of the file in a folder of checkpoints."""
        return self.saved_as or PurePosixPath(self.filename).name

    @property
    def needs_acceptance(self) -> bool:
        """Whether the user must accept the licence: any licence but plain Apache-2.0."""
        return self.licence != APACHE

    @property
    def page_url(self) -> str:
        """The page with the model card and the download."""
        if self.repository_type == RELEASE:
            return f"{GITHUB}/{self.repository}/releases/tag/{self.revision}"
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
        reasons = [module(family, "published").UNPUBLISHED.get(model_name) for family in FAMILIES]
        reason = next(filter(None, reasons), "there is no such model")
        raise InputError(
            f"no published checkpoint for {model_name!r}: {reason}; "
            f"choose from {', '.join(published_files())}"
        )
    return file


def places(folder: Path) -> list[Path]:
    """Where files for `folder` are looked for: beside the default, also in the project's own."""
    return [folder, OWN_CHECKPOINTS] if folder == CHECKPOINTS else [folder]


def by_sha256(digest: str) -> Optional[PublishedFile]:
    """The published file with these bytes (hex sha256, any case); None if it is not one of them."""
    wanted = digest.lower()
    return next((file for file in known_files() if file.sha256 == wanted), None)
