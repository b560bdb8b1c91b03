"""What a one-shot call writes: the result on stdout, or in a file and its facts on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

from depth.command import lost_output
from depth.errors import DepthFileError
from depth.files import replacing, write_set
from depth.presets.table import preset_named
from serve.engine import Engine
from serve.jobs.stage import ImageResult
from serve.sidecar.formats import Values, as_json, as_npy, as_raw
from serve.sidecar.presets import ANY_PRESET, PresetMaker, in_order, presets_of, said_of
from serve.sidecar.values import NEAR1, Look, is_stub

FILE_FORMATS: dict[str, Callable[[Values], Iterable[Any]]] = {  # by the end of the file's name
    ".json": lambda found: [as_json(found)],
    ".npy": lambda found: [as_npy(found)],
    ".f32": as_raw,
}


@dataclass(frozen=True)
class Writing:
    """Where a result goes: the fields of `OneShot`, and what makes the files of presets."""

    output_file: Optional[Path]
    values: str
    preset: Optional[str] = None
    presets: PresetMaker = ANY_PRESET

    @staticmethod
    def of(
        engine: Engine, output_file: Optional[Path], values: str, preset: Optional[str]
    ) -> Writing:
        """For the results of an engine. Raises InputError for a preset that it cannot meet."""
        presets = presets_of(engine)
        if preset is not None:
            presets.check(preset)
        return Writing(output_file, values, preset, presets)

    def write(self, result: ImageResult, look: Look) -> None:
        """Write a result. Raises DepthFileError if its place does not take it.

        look  gives the image, for a preset that has it beside the depth
        """
        if self.output_file is not None and self.preset is not None:
            self._write_preset(self.output_file, self.preset, result, look)
            return
        found = Values.of(result, self.values)
        if self.output_file is None:
            _to_stdout(as_json(found))
            return
        path = self.output_file
        parts = FILE_FORMATS[path.suffix](found)
        try:
            with replacing(path) as file:
                for part in parts:
                    file.write(part)
        except OSError as error:
            raise DepthFileError(f"{path}: cannot be written: {error.strerror}") from error
        said = {
            "values": found.kind,
            "unit": None if found.kind == NEAR1 else result.depth.unit,
            "output_file": str(path),
        }
        _say_facts(result, found.values.shape, said)

    def _write_preset(self, named: Path, preset: str, result: ImageResult, look: Look) -> None:
        """The depth file of a preset and the files beside it, then their facts to stdout."""
        row = preset_named(preset)
        made = self.presets.files(preset, result, named.name[: -len(row.suffix)], look=look)
        folder, whole = named.parent, named.absolute().parent
        if f"{whole.name}/" == row.folder:  # it names the depth file itself
            folder = whole.parent
        files = list(in_order(made).values())
        path = folder / files[0][0]
        try:
            write_set(folder, files[::-1])
        except OSError as error:
            raise DepthFileError(f"{path}: cannot be written: {error.strerror}") from error
        said = {"output_file": str(path), **said_of(made)}
        _say_facts(result, result.depth.values.shape, said)


def _say_facts(result: ImageResult, shape: tuple[int, ...], said: Mapping[str, Any]) -> None:
    size = {"height": shape[0], "width": shape[1]}
    facts = {**({"stub": True} if is_stub(result) else {}), **size, **said}
    _to_stdout(f"{json.dumps(facts)}\n".encode())


def _to_stdout(data: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.flush()
    lost = lost_output()
    if lost:
        raise DepthFileError(f"stdout: {lost}; the result is not complete")
