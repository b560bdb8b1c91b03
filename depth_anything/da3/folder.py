"""The folder of a scene: never emptied, never written over unless asked, and then only our files.

`scene.json` lists what an export wrote. `input_images/inputs.jsonl` lists frames and undistorted
images, each before it is written, so that a command that was killed leaves no file unlisted.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2

from depth.artifact.strict_json import parse_object
from depth.errors import DepthFileError, InputError
from depth.files import NO_LINK, make_folders, read_regular, sha256_bytes, sha256_file, write_whole
from depth.images.read import Pixels, printable
from depth.scenes.export import DESCRIPTION

INPUTS, LIST = "input_images", "inputs.jsonl"
WINDOWS = "windows"  # has a folder for each window of a long video
_MAX_BYTES = 1 << 26  # of a list of files
_FAST = [cv2.IMWRITE_PNG_COMPRESSION, 1]


class SceneFolder:
    """The folder that a command writes into.

    Raises InputError for a folder that has a scene, or files that nobody listed, unless
    `overwrite`; and then for listed files that were changed since.
    """

    def __init__(self, path: Path, overwrite: bool) -> None:
        self.path = path
        self.overwrite = overwrite
        self._check()

    def _check(self) -> None:
        if os.path.lexists(self.path) and not self.path.is_dir():
            raise InputError(f"{printable(self.path)}: is a file; name a folder")
        there = sorted(each.name for each in self.path.iterdir()) if self.path.is_dir() else []
        if there and not self.overwrite:
            raise InputError(
                f"{printable(self.path)}: has {there[0]} already; name another folder, or give "
                "--overwrite, which replaces what scene.json lists and nothing else"
            )
        for name, sha256 in self._listed():
            self._ours(name, sha256)

    def remove_inputs(self) -> None:
        """Remove frames and undistorted images of an earlier command."""
        self._remove(self._inputs())
        with suppress(OSError):  # not there, or something else is in it
            (self.path / INPUTS / LIST).unlink()
            (self.path / INPUTS).rmdir()

    def remove_scene(self) -> None:
        """Remove the files of an earlier scene, its description as the last."""
        for description in self._descriptions():
            self._remove(self._scene(description))
            description.unlink()
            for folder in (description.parent, description.parent.parent):
                if self.path in folder.parents:
                    with suppress(OSError):  # something else is in it
                        folder.rmdir()

    def add_input(self, name: str, pixels: Pixels) -> Path:
        """Write an image [H,W,3] RGB as PNG below INPUTS, and list it. Raises DepthFileError."""
        folder = self.path / INPUTS
        path = folder / name
        data = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), _FAST)[1].tobytes()
        try:
            make_folders(folder)
            if os.path.lexists(path):
                raise InputError(f"{printable(path)}: is there already; name another folder")
            with (folder / LIST).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"name": name, "sha256": sha256_bytes(data)}) + "\n")
            write_whole(path, data)
        except OSError as error:
            raise DepthFileError(f"{printable(path)}: cannot be written: {error}") from error
        return path

    def _remove(self, files: Iterator[tuple[str, str]]) -> None:
        folders: set[Path] = set()
        for name, sha256 in list(files):
            if self._ours(name, sha256):
                (self.path / name).unlink()
                folders.update((self.path / name).parents)
        for folder in sorted(folders, key=lambda each: -len(each.parts)):
            if folder != self.path and self.path in folder.parents:
                with suppress(OSError):  # something else is in it
                    folder.rmdir()

    def _ours(self, name: str, sha256: str) -> bool:
        """Whether a listed file is there. Raises InputError if it was changed since."""
        path = self.path / name
        if not os.path.lexists(path):
            return False
        try:
            same = sha256_file(path, NO_LINK) == sha256
        except OSError:
            same = False
        if not same or not _inside(self.path, path):
            raise InputError(
                f"{printable(path)}: was changed since it was written; move it away, or name "
                "another folder"
            )
        return True

    def _listed(self) -> Iterator[tuple[str, str]]:
        for description in self._descriptions():
            yield from self._scene(description)
        yield from self._inputs()

    def _descriptions(self) -> list[Path]:
        """The `scene.json` of the folder, and those of its windows."""
        found = [self.path / DESCRIPTION, *sorted(self.path.glob(f"{WINDOWS}/*/{DESCRIPTION}"))]
        return [path for path in found if os.path.lexists(path)]

    def _scene(self, path: Path) -> Iterator[tuple[str, str]]:
        """Names and sha256 of what a `scene.json` lists. Raises InputError for a damaged one."""
        below = path.parent.relative_to(self.path)
        try:
            files = parse_object(read_regular(path, _MAX_BYTES))["files"]
            found = [_entry({"name": name, **facts}) for name, facts in files.items()]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{printable(path)}: cannot be read as a list of files: name another folder"
            ) from error
        yield from (((below / name).as_posix(), sha256) for name, sha256 in found)

    def _inputs(self) -> Iterator[tuple[str, str]]:
        path = self.path / INPUTS / LIST
        if not os.path.lexists(path):
            return
        try:
            lines = read_regular(path, _MAX_BYTES).decode("utf-8").splitlines()
            found = [_entry(parse_object(line.encode())) for line in lines if line]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{printable(path)}: cannot be read as a list of files: name another folder"
            ) from error
        yield from ((f"{INPUTS}/{name}", sha256) for name, sha256 in found)


def default_folder(now: float) -> Path:
    """`outputs/outputs_YYYYMMDDHHMMSS`, with a number if it is there. `now`: s since 1970."""
    name = time.strftime("outputs_%Y%m%d%H%M%S", time.localtime(now))
    path, number = Path("outputs") / name, 1
    while os.path.lexists(path):
        number += 1
        path = Path("outputs") / f"{name}_{number}"
    return path


def _entry(facts: Any) -> tuple[str, str]:
    """Raises ValueError for a name that leaves the folder."""
    name, sha256 = facts["name"], facts["sha256"]
    if not isinstance(name, str) or not isinstance(sha256, str):
        raise ValueError("no texts")
    if name.startswith("/") or {"", ".", ".."} & set(name.split("/")) or "\0" in name:
        raise ValueError(f"{name!r} leaves the folder")
    return name, sha256


def _inside(folder: Path, path: Path) -> bool:
    """Whether no folder between is a link that leads out."""
    return Path(os.path.realpath(folder)) in Path(os.path.realpath(path)).parents
