"""The names of a result's files in a folder, and which of its files has each name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import PurePosixPath
from typing import Any, Union

from depth.artifact.strict_json import parse_object
from depth.errors import DepthFileError
from depth.family import DEPTH
from depth.files import localised
from depth.maps.consumer import NamedBytes, Picture
from depth.maps.meta import ListedFile, Sidecar, dump_beside
from depth.maps.names import PREVIEW_SUFFIX, depth_first, file_name, renamed
from depth.presets.encode import role_names, shared_files
from depth.presets.files import result_names
from depth.presets.table import preset_named
from serve.jobs.objects.settings import JobSettings
from serve.jobs.preset import names_of_preset
from serve.jobs.stems import unique_stems

Listed = Union[ListedFile, Picture]


class Names:
    """How a folder job with these settings names the files of images.

    maps  names of the maps of every result
    """

    def __init__(self, settings: JobSettings, maps: Iterable[str]) -> None:
        self._settings = settings
        self._maps = tuple(maps)
        name = settings.preset_name
        self._preset = preset_named(name) if name else None
        self.has_summary = bool(self._preset and self._preset.summary)
        self.shared: Mapping[str, NamedBytes] = shared_files(self._preset) if self._preset else {}

    def stems(self, images: list[str]) -> dict[str, PurePosixPath]:
        """The path of the files of each image without suffixes."""
        settings = self._settings
        names_for = partial(
            result_names,
            formats=settings.formats,
            preview=settings.preview,
            maps=self._maps,
            preset=settings.preset_name,
        )
        paths = [PurePosixPath(_on_disk(image)) for image in images]
        stems = unique_stems(paths, names_for, *names_of_preset(settings.preset_name))
        return dict(zip(images, stems))

    def local(self, base: str, image: str, sidecar: Sidecar) -> dict[str, Listed]:
        """What the .json of a result lists, by the name of each file in a folder.

        Raises DepthFileError for a .json of another image, or of another job.
        """
        if sidecar.source.get("path") not in (image, localised(image)):
            raise DepthFileError(f"its .json is of another image, {sidecar.source.get('path')!r}")
        found: dict[str, Listed] = {}
        if self._preset is not None and sidecar.preset is not None:
            names = role_names(self._preset, base)
            found.update({names.get(r, ""): file for r, file in sidecar.preset.files.items()})
        if {*sidecar.maps} != {*self._maps}:
            raise DepthFileError("its .json has other maps than other results of the job")
        for name in depth_first(self._maps):
            for kind, listed in sidecar.maps[name].files.items():
                known = kind in self._settings.formats
                found[file_name(base, name, kind) if known else ""] = listed
        if sidecar.preview is not None:
            found[base + PREVIEW_SUFFIX] = sidecar.preview
        self._check(base, sidecar, found)
        return found

    def _check(self, base: str, sidecar: Sidecar, found: Mapping[str, Listed]) -> None:
        """Raises DepthFileError unless the files are those of every result of the job."""
        settings = self._settings
        sure = result_names(
            base, settings.formats, settings.preview, self._maps, settings.preset_name
        )[:-1]
        unsure = set(role_names(self._preset, base).values() if self._preset else ())
        unsure -= {name for name, _ in self.shared.values()}
        named = sidecar.preset.name if sidecar.preset else ""
        if named != settings.preset_name or not set(sure) <= set(found) <= {*sure} | unsure:
            raise DepthFileError("its .json lists other files than the settings of the job say")

    def beside(self, base: str, data: bytes) -> bytes:
        """The .json of a result, with the names of its files in a folder.

        data  as the store has it; `local` took it
        """
        of_preset = role_names(self._preset, base) if self._preset else {}
        whole: dict[str, Any] = renamed(parse_object(data), base, of_preset)
        if self.shared:
            shared = {role: asdict(Picture.of(file)) for role, file in self.shared.items()}
            whole["preset"]["files"].update(shared)
        return dump_beside(whole)


def _on_disk(image: str) -> str:
    """The key of an image as this process's locale has the names of files."""
    try:
        os.fsencode(image)
    except UnicodeEncodeError:
        return str(localised(image))
    return image


def maps_of(sidecar: Sidecar) -> tuple[str, ...]:
    """The names of the maps of a result. Raises DepthFileError for names that no model gives."""
    if not all(name.isidentifier() for name in sidecar.maps):
        raise DepthFileError(f"its .json names maps {', '.join(map(repr, sidecar.maps))}")
    return tuple(sorted({DEPTH, *sidecar.maps}))
