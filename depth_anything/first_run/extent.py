"""How much is tried: sizes, repeats and limits. The trials are the same for every extent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Extent:
    """Sizes are HEIGHTxWIDTH in px."""

    demo_size: str
    size: str  # of everything that is compared
    grids: tuple[str, ...]  # other sizes, compiled once each
    compile_limit_s: int  # for one program
    other_limit_s: int  # for everything that compiles nothing
    transfer_size: str
    runs: int  # of a program, in each round
    rounds: int
    warm_up: int  # rounds before them, which do not count
    soak_s: int
    copies: int  # of a program that are loaded at most to fill the memory of a core


# 448x448 and 504x672 have grids of even numbers: 32x32 and 36x48 patches.
FULL = Extent(
    demo_size="518x518",
    size="518x518",
    grids=("448x448", "504x672", "518x686"),
    compile_limit_s=2 * 3600,
    other_limit_s=900,
    transfer_size="518x518",
    runs=50,
    rounds=5,
    warm_up=1,
    soak_s=1800,
    copies=400,
)
# To try the trials themselves, on stand-ins of the SDK.
SMALL = Extent(
    demo_size="56x56",
    size="70x70",
    grids=("56x56", "84x112", "70x98"),
    compile_limit_s=300,
    other_limit_s=300,
    transfer_size="56x56",
    runs=2,
    rounds=1,
    warm_up=0,
    soak_s=3,
    copies=40,
)
