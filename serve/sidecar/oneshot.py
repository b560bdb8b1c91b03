"""One image per process, as SimplePicture3D calls it: JSON on stdout, progress lines on stderr.

PROGRESS <0-100>     the share that is done
STAGE <name>         loading_image, loading_model, model_license: ..., inference, writing_output
error: <reason>      the last line of a call that failed
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Callable, Optional

import typer

from depth.command import FAILED, lost_output
from depth.console import one_line
from depth.errors import DepthAnythingError, DepthFileError, InputError, not_installed
from depth.files import replacing, write_set
from depth.images.given import Held, hold
from depth.images.read import MAX_FILE_BYTES, ImageFile, refusal
from depth.presets.table import preset_named
from serve.errors import ServeError
from serve.jobs.stage import Asked, ImageResult, Stage
from serve.sidecar.formats import Values, as_json, as_npy, as_raw
from serve.sidecar.presets import ANY_PRESET, PresetMaker, in_order, presets_of, said_of
from serve.sidecar.values import NEAR1, Look, is_stub, stub, with_look

logger = logging.getLogger(__name__)

STDIN = Path("-")
FILE_FORMATS: dict[str, Callable[[Values], Iterable[Any]]] = {  # by the end of the file's name
    ".json": lambda found: [as_json(found)],
    ".npy": lambda found: [as_npy(found)],
    ".f32": as_raw,
}
_OURS: tuple[type[Exception], ...] = (DepthAnythingError, ServeError)
_STUB = "warning: stub depth was asked for: a gradient, and no depth of the image"


@dataclass(frozen=True)
class OneShot:
    """What is done with the image.

    output_file  instead of the values on stdout: .json, .npy or .f32
    values       `near1` or `native`; JSON has near1 only
    preset       of depth/presets, whose depth file is `output_file`; None for values
    """

    input: Path
    output_file: Optional[Path]
    values: str
    output_size: str
    preset: Optional[str] = None


def check_output(job: OneShot) -> None:
    """Raises InputError for an output that is not one of ours."""
    if job.preset is not None:
        _check_preset(job, job.preset)
        return
    suffix = job.output_file.suffix if job.output_file else ".json"
    if suffix not in FILE_FORMATS:
        raise InputError(f"{job.output_file}: expected a name that ends in .json, .npy or .f32")
    if suffix == ".json" and job.values != NEAR1:
        raise InputError("JSON holds values from 0 to 1: for native values name an --output-file")


def _check_preset(job: OneShot, preset: str) -> None:
    ANY_PRESET.check(preset)
    suffix = preset_named(preset).suffix
    name = job.output_file.name if job.output_file else ""
    if not name.endswith(suffix) or name == suffix:
        raise InputError(
            f"preset {preset}: expected an --output-file that ends in {suffix}, such as a{suffix}"
        )
    if job.values != NEAR1:
        raise InputError(f"preset {preset}: says what the values are; leave --values out")


@contextmanager
def told(errors: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Ends a failed call as SimplePicture3D expects: the reason last on stderr, exit code 1.

    errors  whose text is for the user, besides those of depth/ and serve/
    """
    ours = _OURS + errors
    try:
        yield
    except ours as error:
        reason = str(error)
    except ModuleNotFoundError as error:
        reason = f"the sidecar needs {not_installed(error)}"
    except MemoryError:
        reason = "out of memory; reduce the image"
    except OSError as error:
        reason = f"{error.filename or 'the image or its result'}: {error.strerror}"
    except typer.Exit:
        raise
    except Exception as error:
        logger.exception("an error of the sidecar")
        reason = f"{type(error).__name__}: {error}"
    else:
        return
    _say(f"error: {one_line(reason)}")
    raise typer.Exit(FAILED)


def run(job: OneShot, open_stage: Optional[Callable[[], Stage]]) -> None:
    """Depth of one image. Without `open_stage`, the stub's gradient.

    Raises the errors of the image and the model, and DepthFileError if the output is not taken.
    """
    _stage("loading_image")
    opened = _opened(job.input)
    header = opened.header
    _progress(10)
    held = Held("" if job.input == STDIN else str(job.input), lambda: opened)
    asked = Asked(output_size=job.output_size)
    if open_stage is None:
        _say(_STUB)
        _stage("inference")
        stub(held, asked, partial(_write, job, ANY_PRESET))
    else:
        _stage("loading_model")
        stage = open_stage()
        try:
            size = stage.engine.size_for(header.height_px, header.width_px)
            stage.engine.make_ready([size], images=1)
            presets = presets_of(stage.engine)
            if job.preset is not None:
                presets.check(job.preset)
            _stage(f"model_license: {licence_of(stage)}")
            for note in (*header.notes, *([stage.remark] if stage.remark else [])):
                _say(f"note: {note}")
            _progress(30)
            _stage("inference")
            stage.through(held, asked, with_look(partial(_write, job, presets)))
        finally:
            stage.close()
    _progress(100)


def licence_of(stage: Stage) -> str:
    """The licence of the weights. Raises NoProgramError while the model has no program."""
    checkpoint = stage.engine.library.any_artifact().manifest.checkpoint
    return f"{checkpoint.licence or 'unknown'} ({checkpoint.file})"


def _opened(path: Path) -> ImageFile:
    if path != STDIN:
        opened = hold(path).open()
    else:
        data = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
        opened = ImageFile(data, "stdin")
    if not isinstance(opened, ImageFile):
        raise refusal(str(path), "no image file")
    return opened


def _write(job: OneShot, presets: PresetMaker, result: ImageResult, look: Look) -> None:
    """The result to stdout, or to its file and then its facts to stdout."""
    _progress(90)
    _stage("writing_output")
    if job.output_file is not None and job.preset is not None:
        _write_preset(job.output_file, job.preset, presets, result, look)
        return
    found = Values.of(result, job.values)
    if job.output_file is None:
        _to_stdout(as_json(found))
        return
    parts = FILE_FORMATS[job.output_file.suffix](found)
    try:
        with replacing(job.output_file) as file:
            for part in parts:
                file.write(part)
    except OSError as error:
        raise DepthFileError(f"{job.output_file}: cannot be written: {error.strerror}") from error
    height, width = found.values.shape
    facts = {
        **({"stub": True} if is_stub(result) else {}),
        "height": height,
        "width": width,
        "values": found.kind,
        "unit": None if found.kind == NEAR1 else result.depth.unit,
        "output_file": str(job.output_file),
    }
    _to_stdout(f"{json.dumps(facts)}\n".encode())


def _write_preset(
    named: Path, preset: str, presets: PresetMaker, result: ImageResult, look: Look
) -> None:
    """The depth file of a preset and the files beside it, then their facts to stdout."""
    row = preset_named(preset)
    made = presets.files(preset, result, named.name[: -len(row.suffix)], look=look)
    folder = named.parent
    if folder.name and f"{folder.name}/" == row.folder:  # it names the depth file itself
        folder = folder.parent
    files = list(in_order(made).values())
    path = folder / files[0][0]
    try:
        write_set(folder, files[::-1])
    except OSError as error:
        raise DepthFileError(f"{path}: cannot be written: {error.strerror}") from error
    height, width = result.depth.values.shape
    facts = {
        **({"stub": True} if is_stub(result) else {}),
        "height": height,
        "width": width,
        "output_file": str(path),
        **said_of(made),
    }
    _to_stdout(f"{json.dumps(facts)}\n".encode())


def _to_stdout(data: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.flush()
    lost = lost_output()
    if lost:
        raise DepthFileError(f"stdout: {lost}; the result is not complete")


def _progress(percent: int) -> None:
    _say(f"PROGRESS {percent}")


def _stage(name: str) -> None:
    _say(f"STAGE {one_line(name)}")


def _say(line: str) -> None:
    typer.echo(line, err=True)
