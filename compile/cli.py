"""`python -m compile`: build, inspect, verify and parity. Results on stdout, the rest on stderr."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import typer

from compile.errors import CompileError
from depth_anything_v2.artifact import Artifact, read_artifact
from depth_anything_v2.command import guarded
from depth_anything_v2.config import MODELS, model_named

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

_ARTIFACT = typer.Argument(help="An artifact's folder, as `build` prints it.")
_IMAGES = typer.Option(
    Path("input_images"), help="Folder of photographs that parity uses beside its own test images."
)
_MAX_PHOTOGRAPHS = 3  # each costs an eager run per program


@app.callback()
def compile_() -> None:
    """Turn a checkpoint into an artifact: programs at fixed sizes, proven against the original.

    python -m compile build --model vits --size 518x686 --out artifacts/
    """


@app.command()
def build(
    model: str = typer.Option("vits", help=f"One of {', '.join(MODELS)}."),
    target: str = typer.Option("openvino", help="openvino, onnx or torchscript."),
    precision: str = typer.Option("fp32", help="fp32, or bf16 where the target has it."),
    size: list[str] = typer.Option(
        ["518x518"], help="HEIGHTxWIDTH in px, multiples of 14. Repeat it for several programs."
    ),
    batch: list[int] = typer.Option([1], help="Images per run. Repeat it for several programs."),
    out: Path = typer.Option(Path("artifacts"), help="Folder that receives the artifact."),
    checkpoint: Optional[str] = typer.Option(
        None,
        help="Weights file; by default the model's own in checkpoints/. The word `untrained` takes "
        "fixed-seed weights, to try a target without a download.",
    ),
    images: Path = _IMAGES,
    force: bool = typer.Option(
        False, help="Write the artifact even if parity fails; it says so, and serving refuses it."
    ),
) -> None:
    """Build an artifact and prove it: prints its folder.

    Every saved program is compared with the eager fp32 network on test images. If one is over the
    limit, nothing is written and the exit code is 1.
    """
    from compile.build import Request
    from compile.build import build as build_artifact
    from compile.probes import photographs
    from compile.progress import steps
    from compile.targets import target_named
    from compile.weights import read
    from depth_anything_v2.sizes import parse_size

    row = model_named(model)
    target_named(target, precision)  # before weights of a gigabyte are read
    sizes = [parse_size(text) for text in size]
    with steps(total=1 + 3 * len(sizes) * len(batch)) as step:
        step(f"read the weights of {model}")
        request = Request(
            row,
            read(row, checkpoint),
            target,
            precision,
            sizes,
            batch,
            photographs(images, _MAX_PHOTOGRAPHS),
            force,
        )
        folder = build_artifact(request, out, step)
    typer.echo(folder)


@app.command()
def inspect(artifact: Path = _ARTIFACT) -> None:
    """Show what an artifact is: model, meaning, weights, programs, parity. Opens no program."""
    from compile.summary import summary

    typer.echo(summary(read_artifact(artifact)))


@app.command()
def verify(artifact: Path = _ARTIFACT) -> None:
    """Check every byte of an artifact against its manifest."""
    opened = read_artifact(artifact)
    _check_files(opened)
    typer.echo(f"{artifact}: {len(opened.manifest.programs)} programs, every hash is right")


@app.command()
def parity(
    artifact: Path = _ARTIFACT,
    checkpoint: Optional[Path] = typer.Option(
        None, help="The weights it was made from, if they are not in checkpoints/."
    ),
    images: Path = _IMAGES,
) -> None:
    """Compare an artifact's programs with the eager fp32 network again, on this machine.

    Prints a table; the exit code is 1 if a program is over its limit.
    """
    from compile.probes import photographs
    from compile.progress import steps
    from compile.reparity import reparity

    opened = read_artifact(artifact)
    _check_files(opened)
    with steps(total=len(opened.manifest.programs)) as step:
        table, problems = reparity(opened, checkpoint, photographs(images, _MAX_PHOTOGRAPHS), step)
    typer.echo(table)
    if problems:
        raise CompileError("; ".join(problems))


def main() -> None:
    """Run the command line."""
    guarded(app, "python -m compile", CompileError)


def _check_files(artifact: Artifact) -> None:
    for program in artifact.manifest.programs:
        for file in program.files:
            artifact.open_file(file).release()
