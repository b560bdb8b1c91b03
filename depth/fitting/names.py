"""Which entry of a reference belongs to an image, by their names."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from heapq import nsmallest
from pathlib import PurePosixPath

from depth.errors import FitError, InputError

_SHOWN = 3


class Names:
    """The names in a reference, as paths.

    An image has an entry of the same path, with or without the same suffix. Else the one entry
    counts whose path is the end of the image's path, or has it as its end.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._exact = set(names)
        self._bare: dict[str, list[str]] = {}
        self._ends: dict[str, list[str]] = {}
        for name in sorted(self._exact):
            path = PurePosixPath(name)
            self._bare.setdefault(str(_without_suffix(path)), []).append(name)
            self._ends.setdefault(path.stem, []).append(name)

    def of(self, image: str) -> str:
        """The name of an image's entry. Raises FitError if there is none, or several."""
        if image in self._exact:
            return image
        path = PurePosixPath(image)
        found = self._bare.get(str(_without_suffix(path)), []) or self._by_end(path)
        if len(found) == 1:
            return found[0]
        problem = "several entries" if found else "no entry"
        raise FitError(
            f"the reference has {problem} for {image or 'an image without a name'}: it names "
            f"{_listed(found or self._exact)}. "
            "Names in it are paths below the folder of images"
        )

    def check(self, images: Collection[str]) -> None:
        """Raises InputError if two images have the same entry, or no image has any."""
        taken: dict[str, str] = {}
        for image in images:
            try:
                name = self.of(image)
            except FitError:
                continue
            if name in taken:
                raise InputError(
                    f"the reference has one entry, {name}, for {taken[name]} and {image}: name "
                    "each by its path below the folder of images"
                )
            taken[name] = image
        if images and not taken:
            self.of(next(iter(images)))

    def _by_end(self, path: PurePosixPath) -> list[str]:
        parts = _without_suffix(path).parts
        return [name for name in self._ends.get(path.stem, []) if _ends_alike(parts, name)]


def _ends_alike(parts: tuple[str, ...], name: str) -> bool:
    other = _without_suffix(PurePosixPath(name)).parts
    count = min(len(parts), len(other))
    return parts[-count:] == other[-count:]


def _without_suffix(path: PurePosixPath) -> PurePosixPath:
    return path.with_suffix("") if path.name else path


def _listed(names: Collection[str]) -> str:
    shown = nsmallest(_SHOWN, names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(shown) or "nothing") + more
