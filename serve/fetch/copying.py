"""One result of a store, as the files of a folder job."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from threading import Lock

from depth.console import one_line
from depth.errors import DepthFileError, InputError, TooLargeError
from depth.files import has_bytes, is_full, sha256_bytes, write_set
from depth.maps.files import read_sidecar
from depth.maps.meta import MAX_JSON_BYTES, parse_sidecar
from depth.maps.names import SIDECAR_SUFFIX
from depth.presets.summary import Done
from depth.store.objects import ObjectStore
from serve.errors import DiskFullError
from serve.fetch.found import Described
from serve.fetch.names import Listed, Names
from serve.jobs.entry import DONE, KEPT, Entry
from serve.jobs.memory import Budget
from serve.jobs.objects.damage import listed_bytes

_FILES_BYTES = 512_000_000  # of files in memory; a larger result waits for all others


class Copying:
    """Copies results into a folder. Safe in any thread.

    stems  of each image's files, without suffixes
    done   the results that are there, by image, with what their .json says of a preset
    """

    def __init__(
        self, store: ObjectStore, out: Path, names: Names, stems: Mapping[str, PurePosixPath]
    ) -> None:
        self.done: dict[str, Done] = {}
        self._store = store
        self._out = out
        self._real = os.path.realpath(out)
        self._names = names
        self._stems = stems
        self._budget = Budget(_FILES_BYTES)
        self._noting = Lock()

    def __call__(self, result: Described) -> Entry:
        """Copy what is not there yet; the entry of the image.

        Every hash is compared before anything is written. Raises DepthFileError for a damaged
        result, InputError for a place that a result cannot have, StoreError and DiskFullError.
        """
        stem = self._stems[result.image]
        data = self._described(result)
        listed = self._names.local(stem.name, result.image, parse_sidecar(data))
        beside = self._names.beside(stem.name, data)
        folder = self._out / stem.parent
        with _explained(folder / stem.name):
            for place in {(folder / name).parent for name in listed}:
                self._check_inside(place)
            lacking = {
                name: file
                for name, file in listed.items()
                if not has_bytes(folder / name, file.size_bytes, file.sha256)
            }
            fixed = {**dict(self._names.shared.values()), stem.name + SIDECAR_SUFFIX: beside}
            others = {
                name: data
                for name, data in fixed.items()
                if not has_bytes(folder / name, len(data), sha256_bytes(data))
            }
            if lacking or others:
                self._write(result, folder, stem.name, lacking, others, beside)
        outputs = {name: file.size_bytes for name, file in listed.items()}
        outputs[stem.name + SIDECAR_SUFFIX] = len(beside)
        self._note(result.image, stem.parent, beside)
        return Entry(
            result.image,
            DONE if lacking or others else KEPT,
            outputs={(stem.parent / name).as_posix(): size for name, size in outputs.items()},
        )

    def folders(self) -> Iterator[Path]:
        """The folders of all results, but those that a link leads elsewhere."""
        for parent in {stem.parent for stem in self._stems.values()}:
            with suppress(InputError, UnicodeError):
                self._check_inside(self._out / parent)
                yield self._out / parent

    def _described(self, result: Described) -> bytes:
        """The .json of a result. Raises DepthFileError if there is none."""
        try:
            found = self._store.read(result.key, MAX_JSON_BYTES)
        except TooLargeError as error:
            raise DepthFileError(str(error)) from error
        if found is None:
            raise DepthFileError(f"{result.key}: was removed since it was listed")
        return found.data

    def _write(
        self,
        result: Described,
        folder: Path,
        base: str,
        lacking: Mapping[str, Listed],
        others: Mapping[str, bytes],
        beside: bytes,
    ) -> None:
        """Download and write. The files of an older result go first.

        So a fetch that is killed here leaves no file that it cannot tell from a user's own.
        """
        last = base + SIDECAR_SUFFIX
        old = self._replaceable(folder, [*lacking, *others], last)
        with self._budget.taken(sum(max(file.size_bytes, 0) for file in lacking.values())):
            files: list[tuple[str, bytes]] = []
            for name, file in lacking.items():
                data = listed_bytes(self._store, result.key, file)
                if data is None:
                    raise DepthFileError(f"{file.name} is missing in the store, or not whole")
                files.append((name, data))
            files += [(name, data) for name, data in others.items() if name != last]
            for name in old & set(lacking):
                (folder / name).unlink(missing_ok=True)
            write_set(folder, [*files, (last, beside)])

    def _replaceable(self, folder: Path, names: list[str], last: str) -> set[str]:
        """The names of files of an older result in the way. Raises InputError for other files.

        Files that images share count as theirs: another thread may just have written them.
        """
        there = {name for name in names if os.path.lexists(folder / name)}
        listed = {*dict(self._names.shared.values())}
        with suppress(DepthFileError):
            listed |= {*read_sidecar(folder / last).files, last}
        foreign = min(there - listed, default="")
        if foreign:
            raise InputError(
                f"{folder / foreign}: is no file of a result, and is not replaced; move it away, "
                "or name another folder"
            )
        return there

    def _check_inside(self, place: Path) -> None:
        """Raises InputError for a folder that a link leads out of the target."""
        if os.path.commonpath([os.path.realpath(place), self._real]) != self._real:
            raise InputError(
                f"{place}: a link leads out of {self._out}; remove it, or name another folder"
            )

    def _note(self, image: str, folder: PurePosixPath, beside: bytes) -> None:
        preset = parse_sidecar(beside).preset if self._names.has_summary else None
        if preset is not None:
            with self._noting:
                self.done[image] = Done(image, folder, preset)


@contextmanager
def _explained(place: Path) -> Iterator[None]:
    """Raises DiskFullError, which ends a fetch, or DepthFileError for what a disk refuses."""
    try:
        yield
    except OSError as error:
        where = one_line(str(place))
        if is_full(error):
            raise DiskFullError(f"a full disk ({where}: {error.strerror})") from error
        raise DepthFileError(f"{where}: cannot be written: {error.strerror}") from error
    except UnicodeError as error:
        raise InputError(f"{place!r}: no name of a file on this machine: {error}") from error
