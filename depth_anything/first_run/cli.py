"""`python main.py first-run`: everything that nobody has measured, tried on real machines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Optional

import click
import typer

from depth.command import ends_on_sigterm
from depth.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from depth_anything.first_run.extent import Extent
    from depth_anything.first_run.places import Places
    from depth_anything.first_run.trial import Trial

_ROLES = ("compile", "serve", "page")


def first_run(
    role: str = typer.Argument(
        click_type=click.Choice(_ROLES),
        help="The machine: the compile host, or the Inf1 instance. `page` makes the page again.",
    ),
    out: Path = typer.Option(Path("first-run"), help="Folder that receives the results."),
    store: str = typer.Option(
        "first-run-store",
        help="Where artifacts go from one machine to the other: s3://BUCKET/PREFIX, or a folder.",
    ),
    artifacts: Path = typer.Option(
        Path("artifacts"), help="Folder for artifacts on this machine; never packed."
    ),
    images: Path = typer.Option(
        Path("input_images"), help="Photographs, for parity and for whole jobs; never packed."
    ),
    checkpoint: Optional[str] = typer.Option(
        None,
        help="Weights of vits; by default the published file. `untrained` takes fixed-seed ones.",
    ),
    only: list[str] = typer.Option(
        [], metavar="NAME", help="Try only this, even if it has passed before. Repeatable."
    ),
    small: bool = typer.Option(
        False,
        "--small",
        help="The same trials at small sizes with few repeats: minutes, not hours.",
    ),
) -> None:
    """Try on real machines what nobody has measured.

    Ends with a page that compares the results with the README. The compile host comes first
    (hours), then the Inf1 instance (an hour or two). Trials run in the order of what they cost,
    each with a limit. A trial that fails does not stop the next. The same command again repeats
    only what has not passed.

    Prints the page and the packed results, which hold neither images nor weights. On the instance,
    unpack the results of the compile host first:

    bash infra/first-run.sh compile --store s3://BUCKET/depth

    tar xzf first-run-compile.tar.gz; bash infra/first-run.sh serve --store s3://BUCKET/depth
    """
    from depth_anything.first_run.extent import FULL, SMALL
    from depth_anything.first_run.places import Places

    if not store.startswith("s3://"):
        store = str(Path(store).resolve())
    if checkpoint and checkpoint != "untrained":
        checkpoint = str(Path(checkpoint).resolve())
    places = Places(out.resolve(), artifacts.resolve(), store, images.resolve(), checkpoint)
    failed = _run(role, SMALL if small else FULL, places, only) if role != "page" else 0
    _finish(role, places.results)
    raise typer.Exit(3 if failed else 0)


def _finish(role: str, results: Path) -> None:
    """Make the page, pack the results, and print both paths."""
    from depth_anything.first_run.pack import pack
    from depth_anything.first_run.page import write_page

    if not results.is_dir():
        raise InputError(f"{results}: no results here; name the folder with --out")
    typer.echo(write_page(results))
    if role != "page":
        typer.echo(pack(results, role))


def _run(role: str, extent: Extent, places: Places, only: Sequence[str]) -> int:
    """Run the trials of a role: how many did not pass."""
    from depth.console import steps
    from depth_anything.first_run.runner import run_trials

    trials = list(_trials(role, extent, places))
    names = [trial.name for trial in trials]
    unknown = [name for name in only if name not in names]
    if unknown:
        raise InputError(f"no trial {unknown[0]!r} of {role}; choose from {', '.join(names)}")
    with ends_on_sigterm(), steps(len(only) or len(trials)) as step:
        found = run_trials(trials, role, places.results, step, only)
    return sum(not tried.passed for tried in found)


def _trials(role: str, extent: Extent, places: Places) -> Iterator[Trial]:
    from depth_anything.first_run.compile_host import compile_trials
    from depth_anything.first_run.instance import serve_trials
    from depth_anything.first_run.trial import COMPILE, read_all

    if role == COMPILE:
        if not places.store.startswith("s3://"):
            Path(places.store).mkdir(parents=True, exist_ok=True)
        return compile_trials(extent, places)
    tried = read_all(places.results)
    built = {row.name: row.artifact for row in tried if row.role == COMPILE and row.artifact}
    if not built:
        raise InputError(
            f"{places.results}: no results of the compile host in it; unpack "
            "first-run-compile.tar.gz here, or name the folder with --out"
        )
    return serve_trials(extent, places, built)
