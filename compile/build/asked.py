"""Build in the precision that a command or a job asks for: one of the target's, or `auto`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Callable, Optional

from compile.build.request import Request
from compile.targets.table import chosen_by_measurement
from depth.errors import InputError

# precision and float layers -> what is to be built
Ask = Callable[[Optional[str], Sequence[str]], Request]


def build_asked(
    ask: Ask,
    target: str,
    precision: Optional[str],
    float_layers: Sequence[str],
    out: Path,
    say: Callable[[str], None],
) -> Path:
    """Build, prove and package; returns the artifact's folder in `out`.

    Raises what `build` raises, and InputError if `auto` comes with float layers.
    """
    if not chosen_by_measurement(target, precision):
        request = ask(precision, float_layers)  # fails on a wrong word before torch is loaded
        from compile.build.build import build

        return build(request, out, say)
    if float_layers:
        raise InputError("--float-layers: only int8 has such layers; auto chooses its own")
    from compile.build.fastest.build import build_fastest

    return build_fastest(ask, target, out, say)
