"""Whether this version does to images what a manifest says, and can run such programs."""

from __future__ import annotations

from collections.abc import Iterator

from depth.artifact.manifest import DECODER, ENCODER, FUSED, Manifest, Program
from depth.errors import InputError
from depth.family import METRIC, PATCH_PX, RELATIVE
from depth.preprocess import INTERPOLATION, MEAN, NORMALISATION, REFERENCE, STD
from depth.sizes import MAX_PATCHES, check_size

_PREPROCESS = {
    "mode": REFERENCE,
    "mean": MEAN,
    "std": STD,
    "interpolation": INTERPOLATION,
    "multiple_px": PATCH_PX,
}
_DTYPE = "float32"
_MAX_BATCH = 1 << 16  # far over what any device holds; a larger number is no batch


def unservable(m: Manifest) -> Iterator[str]:
    """Each field whose value this version cannot serve: what it is, and what is expected.

    Served all the same it would give wrong depth under a true-looking name.
    """
    for name, expected in _PREPROCESS.items():
        found = getattr(m.preprocess, name)
        if found != expected:
            yield f"preprocess.{name} is {found!r}, expected {expected!r}"
    for step in m.preprocess.folded:
        if step != NORMALISATION:
            yield f"preprocess.folded has {step!r}, expected {NORMALISATION!r} or nothing"
    short_px = m.preprocess.short_side_px
    if short_px < 1 or (short_px // PATCH_PX) ** 2 > MAX_PATCHES:
        yield f"preprocess.short_side_px is {short_px}, expected a size that a network can have"
    if m.kind not in (RELATIVE, METRIC):
        yield f"kind is {m.kind!r}, expected {RELATIVE!r} or {METRIC!r}"
    if m.kind == RELATIVE and m.max_depth_m is not None:
        yield f"max_depth_m is {m.max_depth_m}, expected null with kind {RELATIVE!r}"
    if m.kind == METRIC and (m.max_depth_m is None or m.max_depth_m <= 0):
        yield f"max_depth_m is {m.max_depth_m}, expected metres with kind {METRIC!r}"
    for program in m.programs:
        yield from _unservable(program)


def _unservable(program: Program) -> Iterator[str]:
    if program.stage not in (FUSED, ENCODER, DECODER):
        yield f"a program has stage {program.stage!r}, expected {FUSED}, {ENCODER} or {DECODER}"
    if not 1 <= program.batch <= _MAX_BATCH:
        yield f"a program has batch {program.batch}, expected 1 to {_MAX_BATCH}"
    if max(program.size) > PATCH_PX * MAX_PATCHES:  # before it is divided as a float
        yield f"a program has size {program.size}, expected one that a network can have"
        return
    try:
        check_size(*program.size)
    except InputError as error:
        yield f"a program has {error}"
    for name in ("input_dtype", "output_dtype"):
        found = getattr(program, name)
        if found != _DTYPE:
            yield f"{name} of program {program.name} is {found!r}, expected {_DTYPE!r}"
