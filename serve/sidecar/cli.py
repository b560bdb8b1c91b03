"""`python -m serve sidecar`: depth for another program. Loads nothing heavy until it has to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Optional

import click
import typer

from depth.command import choice_option, command_line, guarded, path_option
from depth.presets.names import PRESET_NAMES
from depth.store.cli import IDENTITIES
from serve.errors import ServeError
from serve.shapes import POLICIES

if TYPE_CHECKING:
    from serve.sidecar.models import Finders, Wanted

STUB_VARIABLE = "SP3D_USE_STUB"
_TRUE = ("1", "true", "yes")

_ARTIFACTS = typer.Argument(None, help="Artifacts of one model; else see --model.")
_INPUT = path_option(None, "The image of a one-shot call; - reads it from stdin.", "--input", "-i")
_MODEL = typer.Option(
    None,
    help="Path of a model, or its name in ~/.simplepicture3d/models. By default what the variable "
    "DEPTH_MODEL_PATH says, or else the only model in that folder.",
)
_NO_MODEL = typer.Option(
    False,
    "--no-model",
    help="A stub: a gradient that is marked as a stub. SP3D_USE_STUB=1 does the same.",
)
_SHOW_LICENSE = typer.Option(
    False, "--show-license", help="Print the licence of the model's weights, and end."
)
_OUTPUT_FILE = path_option(
    None,
    "File for the values; stdout then has only their facts. Its name ends in .f32 (float32 "
    "with a header of 32 bytes), .npy or .json.",
    "--output-file",
    "-o",
)
_VALUES = choice_option(
    "near1",
    ("near1", "native"),
    "near1: 0 to 1, the nearest is 1. native: what the model gives; for .npy and .f32.",
)
_PRESET = choice_option(
    None,
    PRESET_NAMES,
    "Write --output-file as another tool reads it, with the preset's further files beside it, in "
    "the folders that the preset names. "
    "docs: depth/presets/README.md.",
)
_OUTPUT_SIZE = choice_option(
    "full", ("full", "model"), "full: a value for every pixel. model: the network's own size."
)
_POLICY = typer.Option(
    None,
    click_type=click.Choice(POLICIES),
    help="exact: upstream's size, which the model must have. buckets: its nearest shape, the "
    "default for artifacts.",
)
_WORKER = typer.Option(
    False, "--worker", help="Stay, and answer frames on stdin and stdout until stdin ends."
)
_SOCKET = path_option(
    None, "Stay, and answer frames at this Unix socket, which only you can reach.", "--socket"
)
_QUEUE = typer.Option(8, min=1, max=256, help="Requests that a client may have open.")
_HEARTBEAT_S = typer.Option(2.0, min=0.05, max=60, help="Seconds between heartbeats of a worker.")
_ALLOW_FAILED = typer.Option(
    False, "--allow-failed-parity", help="Use an artifact whose numbers are known to be wrong."
)
_ALLOW_UNVERIFIED = typer.Option(
    False,
    "--allow-unverified",
    help="Use an artifact whose numbers were not yet measured on its device.",
)
_FOCAL_PX = typer.Option(None, help="Focal length in px of the images, for models of metres.")


def sidecar_command(finders: Callable[[], Finders]) -> Callable[..., None]:
    """The command. `finders` gives what finds a model and its licence, once they are needed."""

    def sidecar(
        artifact: Optional[list[Path]] = _ARTIFACTS,
        input: Optional[Path] = _INPUT,  # noqa: A002 - the option's name
        model: Optional[str] = _MODEL,
        no_model: bool = _NO_MODEL,
        show_license: bool = _SHOW_LICENSE,
        output_file: Optional[Path] = _OUTPUT_FILE,
        values: str = _VALUES,
        preset: Optional[str] = _PRESET,
        output_size: str = _OUTPUT_SIZE,
        policy: Optional[str] = _POLICY,
        focal_px: Optional[float] = _FOCAL_PX,
        worker: bool = _WORKER,
        socket: Optional[Path] = _SOCKET,
        queue: int = _QUEUE,
        heartbeat_s: float = _HEARTBEAT_S,
        identity: Optional[list[str]] = IDENTITIES,
        allow_failed_parity: bool = _ALLOW_FAILED,
        allow_unverified: bool = _ALLOW_UNVERIFIED,
    ) -> None:
        r"""Give depth to another program.

        Of one image: JSON with height, width and depth on stdout, each value from 0 to 1, the
        nearest 1; PROGRESS and STAGE lines on stderr. It takes SimplePicture3D's options and
        environment. Without a model it fails: there is a stub only if it is asked for.

        \b
        Example:
          python -m serve sidecar artifacts/NAME --input photo.jpg > depth.json

        As a worker (--worker, --socket) the model stays in memory between images.
        Exit code 0 done, 1 failed (the last line on stderr says why), 2 usage. Of a worker: 0 after
        stdin ended, a shutdown or SIGTERM, 75 if a chip needs a new process.
        """
        from serve.sidecar.models import Wanted, asked_model

        wanted = Wanted(
            artifact or (),
            identity or (),
            asked_model(model),
            policy,
            focal_px,
            allow_failed_parity,
            allow_unverified,
            one_image=not (worker or socket),
        )
        find = None if no_model or _stub_in_environment() else finders()
        if show_license:
            _show_licence(find, wanted)
        elif worker or socket:
            if input or output_file or preset:
                raise typer.BadParameter("--worker and --socket take images from their clients")
            _stay(find, wanted, worker, socket, queue, heartbeat_s)
        else:
            _once(find, wanted, (input, output_file, values, output_size, preset))

    return sidecar


def _stub_in_environment() -> bool:
    return os.environ.get(STUB_VARIABLE, "").lower() in _TRUE


def _once(find: Optional[Finders], wanted: Wanted, options: tuple[Any, ...]) -> None:
    from depth.errors import InputError
    from serve.sidecar.oneshot import OneShot, check_output, run, told

    with told(find.errors if find else ()):
        if options[0] is None:
            raise InputError("--input is missing: name an image, or - for stdin; --help says more")
        job = OneShot(*options)
        check_output(job)
        run(job, None if find is None else lambda: find.stage(wanted))


def _show_licence(find: Optional[Finders], wanted: Wanted) -> None:
    from serve.sidecar.oneshot import told

    with told(find.errors if find else ()):
        typer.echo(find.licence(wanted) if find else "stub: no model, so no licence applies")


def _stay(
    find: Optional[Finders],
    wanted: Wanted,
    worker: bool,
    socket: Optional[Path],
    queue: int,
    heartbeat_s: float,
) -> None:
    from serve.sidecar.staying import Doors, stay

    raise typer.Exit(stay(find, wanted, Doors(worker, socket), queue, heartbeat_s))


def artifacts_only() -> Finders:
    from serve.sidecar.models import Finders, licence_of_artifacts, stage_of_artifacts

    return Finders(stage_of_artifacts, licence_of_artifacts)


sidecar = sidecar_command(artifacts_only)


def main(name: str = "python -m serve sidecar") -> None:
    """The command alone, for a program that starts a module of its own."""
    app = command_line()
    app.command()(sidecar)
    guarded(app, name, ServeError)
