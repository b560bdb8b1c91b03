"""Output names for input images: short where possible, and never two the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import PurePath, PurePosixPath


def output_bases(
    images: Sequence[PurePath], names_for: Callable[[str], Sequence[str]]
) -> list[PurePosixPath]:
    """For every image path (relative to the input folder) the path of its outputs, less suffixes.

    `a/b.jpg` becomes `a/b`. Where that would give two images a file of the same name, those images
    keep their whole name: `x.jpg` and `x.png` become `x.jpg` and `x.png`. `names_for` lists the
    files that a base name makes. Case does not count, as on some file systems.
    """
    paths = [PurePosixPath(image.as_posix()) for image in images]
    bases = [path.with_suffix("") for path in paths]
    while True:
        claims = [_claims(base, names_for) for base in bases]
        claimed = Counter(claim for claim_set in claims for claim in claim_set)
        changed = False
        for index, claim_set in enumerate(claims):
            if bases[index] != paths[index] and any(claimed[claim] > 1 for claim in claim_set):
                bases[index] = paths[index]
                changed = True
        if not changed:
            return bases


def _claims(base: PurePosixPath, names_for: Callable[[str], Sequence[str]]) -> set[str]:
    return {str(base.with_name(name)).casefold() for name in names_for(base.name)}
