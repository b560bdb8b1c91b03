"""`python -m compile`: build, inspect, verify and parity. Results on stdout, the rest on stderr."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import typer

from compile.build.cli import IMAGES, build
from compile.build.request import MAX_PHOTOGRAPHS
from compile.errors import CompileError, ParityError
from compile.imported.cli import import_
from compile.job.cli import job
from compile.plan.cli import plan
from compile.precision.cli import precision as forecast_precision
from compile.preflight.cli import preflight
from depth.artifact.anchor import expected_digits
from depth.artifact.manifest import Artifact, read_artifact
from depth.artifact.verification import state
from depth.command import command_line, ends_on_sigterm, guarded
from depth.errors import InputError
from depth.family import INSTANCE_MASKS
from depth.store.cli import list_, promote, pull, push

app = command_line(no_args_is_help=True)

_ARTIFACT = typer.Argument(help="An artifact's folder, as `build` prints it.")
_IDENTITY = typer.Option(
    None,
    help="The identity that the artifact must have, or its first 12 digits or more. The digits in "
    "the folder's name are compared in any case.",
)


@app.callback()
def compile_(context: typer.Context) -> None:
    """Turn a checkpoint into an artifact: programs at fixed sizes, proven against the original.

    python -m compile build --model vits --size 518x686 --out artifacts/
    """
    context.with_resource(ends_on_sigterm())


def inspect(artifact: Path = _ARTIFACT, identity: Optional[str] = _IDENTITY) -> None:
    """Show what an artifact is: model, weights, programs, parity.

    Opens no program.
    """
    from compile.build.summary import summary

    typer.echo(summary(read_artifact(artifact, identity)))


def verify(artifact: Path = _ARTIFACT, identity: Optional[str] = _IDENTITY) -> None:
    """Check every byte of an artifact, and its identity.

    Compares the bytes with the manifest, and the manifest with the identity. Prints the identity,
    and what it was compared with. A damaged or wrong verified.json is refused too.
    """
    opened = read_artifact(artifact, identity)
    _check_files(opened)
    state(opened)
    compared = ", ".join(expected_digits(artifact, identity)) or "nothing; give --identity"
    typer.echo(f"{artifact}: {len(opened.manifest.programs)} programs, every hash is right")
    typer.echo(f"identity {opened.identity}\ncompared with: {compared}")


def parity(
    artifact: Path = _ARTIFACT,
    checkpoint: Optional[Path] = typer.Option(
        None,
        help="The weights it was made from, if they are not in checkpoints/. Of an imported file: "
        "that file.",
    ),
    images: Path = IMAGES,
    identity: Optional[str] = _IDENTITY,
    on_device: bool = typer.Option(
        False,
        "--on-device",
        help="For an artifact of inf1 or inf2, on such an instance: keep the result beside the "
        "artifact, which is verified with it, or failed.",
    ),
) -> None:
    """Compare an artifact with the eager fp32 network again.

    Runs its programs on this machine and prints a table; the exit code is 1 if a program is over
    its limit.
    """
    opened = read_artifact(artifact, identity)
    if any(output.kind == INSTANCE_MASKS for output in opened.manifest.outputs):
        _parity_of_file(opened, checkpoint, images)
        return

    from compile.parity.again import check_where, reparity
    from compile.parity.device import keep, read_reports
    from compile.parity.inputs import photographs
    from depth.console import steps

    check_where(opened, on_device)
    _check_files(opened)
    if on_device:
        read_reports(opened.folder)  # a measurement that cannot be kept is not begun
    with steps(total=len(opened.manifest.programs)) as step:
        pictures = photographs(images, MAX_PHOTOGRAPHS)
        found = reparity(opened, checkpoint, pictures, step, probe=on_device)
    if on_device:
        keep(opened, found)
    typer.echo(found.table())
    if found.problems:
        raise ParityError("; ".join(found.problems))


def _parity_of_file(artifact: Artifact, given: Optional[Path], images: Path) -> None:
    """The same of a file of ONNX that a user imported. Raises InputError without that file."""
    from compile.imported.parity import again
    from compile.parity.inputs import photographs

    if given is None:
        raise InputError(
            f"{artifact.folder}: made of {artifact.manifest.checkpoint.file}: name that file with "
            "--checkpoint FILE"
        )
    _check_files(artifact)
    for line in again(artifact, given, photographs(images, MAX_PHOTOGRAPHS)):
        typer.echo(line)


for _name, _command in (
    ("job", job),
    ("build", build),
    ("import", import_),
    ("preflight", preflight),
    ("precision", forecast_precision),
    ("plan", plan),
    ("inspect", inspect),
    ("verify", verify),
    ("parity", parity),
    ("push", push),
    ("pull", pull),
    ("list", list_),
    ("promote", promote),
):
    app.command(_name)(_command)


def main() -> None:
    guarded(app, "python -m compile", CompileError)


def _check_files(artifact: Artifact) -> None:
    for program in artifact.manifest.programs:
        artifact.open_files(program.files)
