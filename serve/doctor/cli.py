"""`python -m serve doctor`: is anything here that keeps programs from running?"""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import typer


def doctor(
    artifacts: Path = typer.Option(Path("artifacts"), help="Folder of artifacts to check."),
    identity: Optional[list[str]] = typer.Option(
        None,
        help="An identity that an artifact there may have: its first 12 digits or more, or a "
        "folder's name. Repeat it for several. Every other artifact, and an identity that no "
        "artifact has, is a problem. The digits in a folder's name are compared in any case.",
    ),
    json: bool = typer.Option(False, "--json", help="Print findings and facts as JSON."),
) -> None:
    """Check this machine, its packages and its artifacts.

    Says what to do about each problem. Reads every byte of every artifact, opens no device, changes
    nothing. The exit code is 1 if there is a problem; warnings leave it 0.
    """
    from rich.console import Console

    from serve.doctor.diagnosis import as_json, diagnose, has_problem, table
    from serve.doctor.gather import gather

    console = Console(stderr=True)
    with console.status("machine") as status:  # shows nothing where there is no terminal
        facts = gather(artifacts, lambda text: status.update(text), identity or ())
    findings = diagnose(facts)
    typer.echo(as_json(facts, findings) if json else table(findings))
    raise typer.Exit(1 if has_problem(findings) else 0)
