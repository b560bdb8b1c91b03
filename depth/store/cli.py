"""`python -m compile` push, pull, list and promote: artifacts in a bucket or a shared folder."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import typer

_PARTLY = 3  # exit code: some of the store is damaged
_STORE = typer.Option(..., help="s3://bucket/prefix, or a folder that machines share.")
_ENDPOINT_URL = typer.Option(
    None, help="S3 server other than AWS; by default what the AWS settings say."
)


IDENTITIES = typer.Option(
    None,
    "--identity",
    help="The identity that the artifact must have: its first 12 digits or more, or the name of "
    "the artifact's folder elsewhere. For several artifacts repeat it, in their order. The digits "
    "in a folder's name are compared in any case.",
)


def push(
    artifacts: list[Path] = typer.Argument(help="Folders of artifacts, as `build` prints them."),
    store: str = _STORE,
    identity: Optional[list[str]] = IDENTITIES,
    endpoint_url: Optional[str] = _ENDPOINT_URL,
) -> None:
    """Copy artifacts into a store: prints the identity of each.

    Files that the store has are not sent again, so an interrupted push can be repeated.
    Push again to add the verified.json that was measured on the device. --identity can also be an
    alias in the store.
    """
    from depth.artifact.manifest import folder_name, read_artifacts
    from depth.console import transfer
    from depth.store.catalogue import find
    from depth.store.names import is_alias, program_files
    from depth.store.objects import open_store
    from depth.store.push import push as push_artifact

    with open_store(store, endpoint_url) as place:
        known = [find(place, each).identity if is_alias(each) else each for each in identity or ()]
        for artifact in read_artifacts(artifacts, known):  # all of them, before sending
            name = folder_name(artifact.manifest, artifact.identity)
            size_bytes = sum(file.size_bytes for file in program_files(artifact.manifest))
            with transfer(name, size_bytes) as on_bytes:
                done = push_artifact(place, artifact, on_bytes)
            sent = (
                f"sent {done.sent_bytes / 1e6:.1f} MB"
                if done.sent_bytes
                else "no new programs to send"
            )
            typer.echo(
                f"{name}: {sent}, {done.kept_bytes / 1e6:.1f} MB were there already", err=True
            )
            typer.echo(artifact.identity)


def pull(
    reference: str = typer.Argument(
        help="An alias, the name of an artifact's folder, or the first digits of its identity."
    ),
    store: str = _STORE,
    out: Path = typer.Option(Path("artifacts"), help="Folder that receives the artifact."),
    endpoint_url: Optional[str] = _ENDPOINT_URL,
) -> None:
    """Copy an artifact out of a store: prints its folder.

    Every byte is compared with the manifest, and the manifest with the identity. Repeat an
    interrupted pull: it keeps the files that are complete.
    """
    from depth.console import transfer
    from depth.store.catalogue import find
    from depth.store.objects import open_store
    from depth.store.pull import pull as pull_artifact

    with open_store(store, endpoint_url) as place:
        entry = find(place, reference)
        with transfer(entry.name, entry.size_bytes) as on_bytes:
            folder = pull_artifact(place, entry, out, on_bytes)
    typer.echo(folder)


def list_(
    store: str = _STORE,
    endpoint_url: Optional[str] = _ENDPOINT_URL,
    as_json: bool = typer.Option(False, "--json", help="Print artifacts and damage as JSON."),
) -> None:
    """List the artifacts in a store, the newest first.

    State: verified, built (its numbers were never measured on the device), failed or damaged. The
    reason of damage is on stderr, and the exit code is 3.
    """
    import json

    from depth.console import aligned, one_line
    from depth.store.listing import HEADING, listing
    from depth.store.objects import open_store

    with open_store(store, endpoint_url) as place:
        found = listing(place)
    if as_json:
        whole = {
            "artifacts": [row.as_json() for row in found.rows],
            "damaged": [each.as_json() for each in found.damaged],
        }
        typer.echo(json.dumps(whole, indent=2))
    else:
        cells = [row.cells for row in found.rows] + [each.cells for each in found.damaged]
        typer.echo("\n".join(aligned([HEADING, *cells])))
    for damaged in found.damaged:
        what = ", ".join(damaged.aliases) or damaged.identity
        typer.echo(f"damaged: {what}: {one_line(damaged.reason)}", err=True)
    if found.damaged:
        raise typer.Exit(_PARTLY)


def promote(
    reference: str = typer.Argument(
        help="The artifact: identity or its first digits, folder's name, or another alias."
    ),
    alias: str = typer.Argument(help="Its new alias, like vits/inf1/production."),
    store: str = _STORE,
    expect: Optional[str] = typer.Option(
        None, help="Only if the alias has this identity now; its first 6 digits are enough."
    ),
    allow_unverified: bool = typer.Option(
        False,
        "--allow-unverified",
        help="Accept an artifact whose numbers were never measured on the device.",
    ),
    endpoint_url: Optional[str] = _ENDPOINT_URL,
) -> None:
    """Point an alias at an artifact.

    Prints the alias, the artifact and the artifact before. If somebody else moves the alias at the
    same time, one of the two commands fails with exit code 1. To go back, promote the artifact
    before.
    """
    from depth.store.catalogue import find
    from depth.store.names import check_alias
    from depth.store.objects import open_store
    from depth.store.promote import promote as promote_artifact

    check_alias(alias)
    with open_store(store, endpoint_url) as place:
        now = promote_artifact(place, find(place, reference), alias, expect, allow_unverified)
    typer.echo(f"{alias} {now.identity} before: {now.previous or 'nothing'}")
