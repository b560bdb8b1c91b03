"""The names of the outputs of the images of a job, where images of one folder differ by suffix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePath, PurePosixPath

NamesFor = Callable[[str], Sequence[str]]  # a stem's last part -> the files that it makes


def unique_stems(
    images: Sequence[PurePath],
    names_for: NamesFor,
    whole_names: bool = False,
    reserved: Iterable[str] = (),
) -> list[PurePosixPath]:
    """The path of each image's outputs without suffixes, by its path in the input folder.

    `a/b.jpg` becomes `a/b`. Where two images would get a file of the same name, both keep their
    whole name: `x.jpg` and `x.png` become `x.jpg` and `x.png`. Case does not count, as on some file
    systems.

    whole_names  every image keeps its whole name
    reserved     other files of the output folder, whose names no image may take
    """
    paths = [PurePosixPath(image.as_posix()) for image in images]
    if whole_names:
        return paths
    taken = [name.casefold() for name in reserved]
    stems = [path.with_suffix("") for path in paths]
    while True:  # until nothing collides: a name that is kept may collide with another stem
        claims = [_claims(stem, names_for) for stem in stems]
        claimed = Counter(claim for claim_set in claims for claim in claim_set)
        claimed.update(taken)
        longer = [
            path if any(claimed[claim] > 1 for claim in claim_set) else stem
            for path, stem, claim_set in zip(paths, stems, claims)
        ]
        if longer == stems:
            return stems
        stems = longer


def _claims(stem: PurePosixPath, names_for: NamesFor) -> set[str]:
    return {str(stem.parent / name).casefold() for name in names_for(stem.name)}
