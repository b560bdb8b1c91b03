"""`python main.py clean`: remove the results in an output folder."""

from __future__ import annotations

from pathlib import Path

import typer

from depth.console import one_line


def clean(
    output: Path = typer.Argument(Path("output_depth"), help="Output folder of inference.py."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only print what would be removed."),
) -> None:
    """Remove the depth files of an output folder, and only those.

    The report of the folder, depth-report.jsonl, lists what there is. A file goes if its bytes are
    those that its .json names: what you added or changed stays, and so do links. Previews,
    index.html, empty folders and the report go too. Prints what it removed.
    """
    from serve.folder.clean import clean as cleaned

    removed = left = 0
    for fate in cleaned(output, dry_run):
        path = one_line(str(output / fate.name))
        if fate.left:
            typer.echo(f"left: {path}: {fate.left}", err=True)
        else:
            typer.echo(path)
        left += bool(fate.left)
        removed += not fate.left
    rest = f", {left} left" if left else ""
    typer.echo(f"{removed} {'would be ' if dry_run else ''}removed{rest}", err=True)
