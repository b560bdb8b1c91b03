"""Files of a release on GitHub: where they are, and their download with the hub's client."""

from __future__ import annotations

from pathlib import Path

from depth.weights.registry import GITHUB, RELEASE, PublishedFile


def is_asset(file: PublishedFile) -> bool:
    """Whether the file belongs to a release, and not to a repository of the model hub."""
    return file.repository_type == RELEASE


def asset_url(file: PublishedFile) -> str:
    """The address of the file itself."""
    return f"{GITHUB}/{file.repository}/releases/download/{file.revision}/{file.filename}"


def download_asset(file: PublishedFile, path: Path) -> None:
    """Write the file to `path`, in one go with what an earlier try has left beside it.

    No token of the hub is sent. Raises OSError if the download stops.
    """
    from huggingface_hub.file_download import http_get

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".incomplete")
    with part.open("ab") as out:
        http_get(
            asset_url(file),
            out,
            resume_size=out.tell(),
            expected_size=file.size_bytes,
            displayed_filename=file.local_name,
        )
    part.replace(path)
