"""Files of a repository of the model hub, in the hub client's own cache. No network on import."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from depth.errors import DownloadError, first_line
from depth.files import sha256_file
from depth.weights.registry import known_files


def downloaded(
    repository: str, names: Sequence[str], revision: Optional[str], options: Mapping[str, Any]
) -> Path:
    """The folder with these files, downloaded unless the cache has them.

    A published checkpoint comes at the published revision unless another is named, and its sha256
    is compared. Raises DownloadError if a file cannot be had or has other bytes.
    """
    from huggingface_hub import hf_hub_download

    known = (file for file in known_files() if file.repository == repository)
    published = next(known, None) if revision is None else None
    wanted = published.revision if published else revision
    paths = {}
    for name in names:
        try:
            paths[name] = Path(hf_hub_download(repository, name, revision=wanted, **options))
        except (OSError, ValueError) as error:  # every exception of the hub's client is one
            raise DownloadError(
                f"{repository}: no such folder, and the hub does not give {name}: "
                f"{first_line(error)}"
            ) from error
    if published is not None and published.sha256 is not None:
        path = paths[published.filename]
        digest = sha256_file(path)
        if digest != published.sha256:
            raise DownloadError(
                f"{path}: sha256 {digest}, the published {repository} has {published.sha256}; "
                "delete it and load it again"
            )
    return paths[names[0]].parent
