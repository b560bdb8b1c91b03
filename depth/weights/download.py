"""Fetches a published checkpoint: downloads it, compares its sha256, then renames it.

The hub's client checks only the length. The download goes to a hidden folder next to the final
file. So an incomplete or wrong file never has the final name, and an interrupted fetch resumes.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Optional
from urllib.parse import urlsplit

from depth.console import without_user
from depth.errors import DownloadError, LicenceError, first_line
from depth.files import locked, sha256_file
from depth.weights.registry import GITHUB, PublishedFile
from depth.weights.release import asset_url, download_asset, is_asset

logger = logging.getLogger(__name__)

_PROBE_TIMEOUT_S = (3.0, 10.0)  # to connect, to answer

# The hub's client reads these from the environment only once, when it is imported.
_CLIENT_SETTINGS = {
    "HF_HUB_DISABLE_TELEMETRY": True,
    "HF_HUB_DISABLE_XET": True,  # it keeps a second copy, cannot resume and bypasses mirrors
    "HF_HUB_ENABLE_HF_TRANSFER": False,  # cannot resume
}


def fetch(file: PublishedFile, folder: Path, accept_licence: bool = False) -> Path:
    """Make sure that folder/local_name is the published file, and return that path.

    A file that is in the folder or in the hub's cache needs no network. HF_ENDPOINT, HF_TOKEN,
    HF_HOME and HF_HUB_OFFLINE apply. A file without a known sha256 is logged as unverified.

    Raises LicenceError, before any other step, if the user must accept the licence first. Raises
    DownloadError in these cases:

    - the download fails, or has wrong bytes, which are deleted
    - another file has the name; that file is kept
    """
    target = folder / file.local_name
    if not target.exists():
        _require_acceptance(file, accept_licence)
        with _only_one_fetch_into(folder):
            if not target.exists():
                _fetch_new(file, target)
                return target
    problem = _mismatch(file, target)
    if problem is not None:
        raise DownloadError(
            f"{target} is there already and is not the published file ({problem}). "
            "It was left as it is: move it away, then fetch again"
        )
    return target


def _require_acceptance(file: PublishedFile, accept_licence: bool) -> None:
    if file.needs_acceptance and not accept_licence:
        raise LicenceError(
            f"{file.local_name}: licence {file.licence}; nothing was downloaded. Read "
            f"{file.page_url}. If you accept it: `make checkpoints MODEL={file.model} "
            f"ACCEPT_LICENCE=1` or `python main.py checkpoints fetch {file.model} "
            "--accept-licence` (in Python: accept_licence=True)"
        )


@contextmanager
def _only_one_fetch_into(folder: Path) -> Iterator[None]:
    """Create the folder and hold a lock on it, which ends with the process.

    Without a download no new folder stays.
    """
    made = not folder.exists()
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(folder, always=False))
        except OSError as error:
            raise DownloadError(
                f"cannot use {folder} as the folder for checkpoints: {error.strerror}; name another"
            ) from error
        try:
            yield
        finally:
            if made:
                with suppress(OSError):  # something is in it
                    folder.rmdir()


def _fetch_new(file: PublishedFile, target: Path) -> None:
    staging = target.with_name(f".{file.local_name}.partial")
    staged = staging / file.filename
    try:
        with _client_settings():
            if not _copy_from_hub_cache(file, staged):
                _check_reachable(file, staging.parent)
                (download_asset(file, staged) if is_asset(file) else _download(file, staging))
        problem = _mismatch(file, staged)
        if problem is None:
            staged.replace(target)
    except OSError as error:  # every exception of requests and of the hub's client is one
        _drop_if_too_long(file, staging)
        reason = f"the download stopped ({_reason(error)}); fetch again and it goes on from there"
        raise _cannot_fetch(file, target.parent, reason) from error
    shutil.rmtree(staging, ignore_errors=True)
    if problem is not None:
        raise _cannot_fetch(
            file,
            target.parent,
            f"{_public(_endpoint(file))} sent other bytes than the published ones ({problem}). "
            "They were deleted; fetch again, and if it stays so, do not trust that server",
        )


def _cannot_fetch(file: PublishedFile, folder: Path, reason: str) -> DownloadError:
    mirror = "" if is_asset(file) else " HF_ENDPOINT names a mirror of the hub."
    return DownloadError(
        f"{file.local_name}: {reason}.\n"
        f"By hand: download {file.filename} from {file.page_url}\n"
        f"and save it as {(folder / file.local_name).absolute()}.{mirror}"
    )


def _reason(error: OSError) -> str:
    """First line of the innermost cause, without passwords."""
    innermost, cause = error, error.__cause__ or error.__context__
    while cause is not None:
        if isinstance(cause, OSError) and str(cause):
            innermost = cause
        cause = cause.__cause__ or cause.__context__
    return _public(innermost.strerror or first_line(innermost)).rstrip(".")


def _public(text: str) -> str:
    """The text without passwords, also if HF_ENDPOINT is no proper URL."""
    user, at, _ = _endpoint().split("://")[-1].rpartition("@")
    return without_user(text.replace(user + at, "") if at else text)


def _proxy_variable(url: str) -> str:
    """The environment variable with the proxy that requests to this URL use, or ""."""
    from urllib.request import proxy_bypass  # 20 ms to import, and seldom needed

    scheme, host = urlsplit(url).scheme, urlsplit(url).hostname
    names = [name for key in (f"{scheme}_proxy", "all_proxy") for name in (key, key.upper())]
    found = [name for name in names if os.environ.get(name)]
    return found[0] if found and host and not proxy_bypass(host) else ""


def _mismatch(file: PublishedFile, path: Path) -> Optional[str]:
    """How the file at path differs from the published file; None if it does not."""
    if not path.is_file():
        return "not a regular file"
    size_bytes = path.stat().st_size
    if file.size_bytes is not None and size_bytes != file.size_bytes:
        return f"{size_bytes:,} bytes, expected {file.size_bytes:,}"
    digest = sha256_file(path)
    if file.sha256 is None:
        logger.warning("%s is unverified: no sha256 is published; it has %s", path.name, digest)
        return None
    return None if digest == file.sha256 else f"sha256 {digest}, expected {file.sha256}"


def _drop_if_too_long(file: PublishedFile, staging: Path) -> None:
    """Delete a part that is longer than the file: no later fetch could resume it."""
    sizes_bytes = [part.stat().st_size for part in staging.rglob("*.incomplete")]
    if file.size_bytes is not None and any(size > file.size_bytes for size in sizes_bytes):
        shutil.rmtree(staging, ignore_errors=True)


def _address(file: PublishedFile) -> dict[str, Any]:
    """Where the file is, as arguments of the hub's client."""
    return {
        "repo_id": file.repository,
        "filename": file.filename,
        "repo_type": file.repository_type,
        "revision": file.revision,
    }


def _endpoint(file: Optional[PublishedFile] = None) -> str:
    """The server that has the file; the hub's if none is given."""
    if file is not None and is_asset(file):
        return GITHUB
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


@contextmanager
def _client_settings() -> Iterator[None]:
    """Apply our settings of the hub's client until the block ends."""
    from huggingface_hub import constants

    theirs, client = vars(constants), logging.getLogger("huggingface_hub")
    before, level = {name: theirs[name] for name in _CLIENT_SETTINGS}, client.level
    theirs.update(_CLIENT_SETTINGS)
    client.setLevel(logging.CRITICAL)  # its warnings hold URLs with passwords
    try:
        yield
    finally:
        theirs.update(before)
        client.setLevel(level)


def _copy_from_hub_cache(file: PublishedFile, staged: Path) -> bool:
    """Copy the file if the hub's shared cache has it with the right bytes; else return False."""
    from huggingface_hub import try_to_load_from_cache

    if file.sha256 is None or is_asset(file):
        return False
    cached = try_to_load_from_cache(**_address(file))
    if not isinstance(cached, str):
        return False
    if _mismatch(file, Path(cached)) is not None:
        logger.warning("%s has wrong bytes and is not used", cached)
        return False
    staged.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(cached, staged)
    return True


def _check_reachable(file: PublishedFile, folder: Path) -> None:
    refusal = _refusal(file)
    if refusal is not None:
        raise _cannot_fetch(file, folder, refusal)


def _download(file: PublishedFile, staging: Path) -> None:
    from huggingface_hub import hf_hub_download

    hf_hub_download(
        **_address(file),
        endpoint=_endpoint(),
        local_dir=staging,
        cache_dir=staging,  # else it would copy wrong bytes from the shared cache
    )


def _refusal(file: PublishedFile) -> Optional[str]:
    """Why the server does not give the file; None if it does.

    Asked before the download: the hub's client would try six times, for half a minute, to reach a
    server that is down.
    """
    from huggingface_hub import get_session
    from huggingface_hub.errors import OfflineModeIsEnabled

    endpoint = _endpoint(file)
    url, headers = _request(file, endpoint)
    try:
        answer = get_session().head(url, headers=headers, timeout=_PROBE_TIMEOUT_S)
    except OfflineModeIsEnabled:
        cached = "" if is_asset(file) else ", and the file is not in the hub's cache"
        return f"HF_HUB_OFFLINE is set{cached}"
    except OSError as error:
        proxy = _proxy_variable(endpoint)
        through = f" through the proxy in {proxy}" if proxy else ""
        return f"cannot reach {_public(endpoint)}{through} ({_reason(error)})"
    return _refusal_by_status(answer.status_code, _public(endpoint))


def _request(file: PublishedFile, endpoint: str) -> tuple[str, dict[str, str]]:
    """Address and headers of a request for the file."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    if is_asset(file):
        return asset_url(file), {}
    return hf_hub_url(**_address(file), endpoint=endpoint), build_hf_headers()


def _refusal_by_status(status: int, endpoint: str) -> Optional[str]:
    if status in (401, 403):
        return f"{endpoint} wants other credentials ({status}); check or unset HF_TOKEN"
    if status == 404:
        return f"{endpoint} does not have it ({status})"
    if status >= 400:
        return f"{endpoint} has a problem ({status}); try again later"
    return None
