"""The precision modes of the Neuron compilers, as data. Loads no torch.

A mode's name is the precision that an artifact states. Sources: AWS Neuron SDK documentation,
command line references of neuron-cc (Inf1) and neuronx-cc (Inf2, Trn1), the two application notes
on mixed precision, and the Python API of torch-neuron.

Names on inf1 are `CAST[-relayout][-io16]`:
    CAST       what is cast: all, all-fp16, matmult, matmult-bf16, matmult-fp16
    -relayout  transposes through the matrix engine too, fast and lossy; else bit-exact
    -io16      float16 in and out (torch_neuron.Optimization.FLOAT32_TO_FLOAT16)
The compiler's own default, `--fast-math all`, is `all-relayout`; its `none` is `matmult-bf16`.
Names on inf2 are `none` and `CAST-TYPE`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from compile.errors import TargetError

FP32, FP16, BF16, TF32 = "fp32", "fp16", "bf16", "tf32"
FLOAT32_TO_FLOAT16 = "FLOAT32_TO_FLOAT16"  # the name in torch_neuron.Optimization


@dataclass(frozen=True)
class Mode:
    """What a compiler casts in a float32 network, and the arguments that ask for it."""

    name: str
    target: str
    compiler_args: tuple[str, ...]  # one token each
    matmul: str  # inputs of the matrix engine; products are summed in float32 always
    everything: Optional[str]  # all other values between operators; None: they stay float32
    relayout: Optional[str]  # transposes through the matrix engine; None: bit-exact
    io: str  # what crosses between host and device
    summary: str
    speed_rank: int  # 1 is fastest; the order is documented or expected, never measured here

    @property
    def key(self) -> str:
        return f"{self.target}:{self.name}"

    @property
    def optimizations(self) -> tuple[str, ...]:
        """Names in torch_neuron.Optimization to trace with."""
        return (FLOAT32_TO_FLOAT16,) if self.io == FP16 else ()


@dataclass(frozen=True)
class _Cast:
    name: str  # after "fp32-cast-"
    matmul: str
    transposes: str  # the type that fast relayout uses
    whole: bool
    summary: str


# The documentation calls `all` the fastest and gives no order within the other three.
_INF1_CASTS = (
    _Cast("all", BF16, BF16, True, "every operator in bf16"),
    _Cast("all-fp16", FP16, FP16, True, "every operator in fp16"),
    _Cast("matmult", BF16, FP16, False, "matrix products in bf16"),
    _Cast("matmult-bf16", BF16, BF16, False, "matrix products in bf16"),
    _Cast("matmult-fp16", FP16, FP16, False, "matrix products in fp16"),
)

# From the slowest to the fastest, in the order of the neuronx-cc note on mixed precision.
_INF2_SLOWEST_FIRST = (
    ("matmult", TF32),
    ("all", TF32),
    ("matmult", FP16),
    ("all", FP16),
    ("matmult", BF16),
    ("all", BF16),
)


def _inf1_mode(cast: _Cast, fast: bool, io: str) -> Mode:
    relayout = "fast-relayout" if fast else "no-fast-relayout"
    name = cast.name + ("-relayout" if fast else "") + ("-io16" if io == FP16 else "")
    transposes = f"transposes in {cast.transposes}" if fast else "transposes exact"
    # Documented: whole casts lead, and exact transposes are slightly slower. Equal ranks are what
    # the documentation does not tell apart. float16 in and out comes behind the same mode with
    # float32: it pays only for a caller that has float16 already.
    rank = 1 + 4 * (not cast.whole) + 2 * (not fast) + (io == FP16)
    return Mode(
        name,
        "inf1",
        ("--fast-math", f"fp32-cast-{cast.name}", relayout),
        matmul=cast.matmul,
        everything=cast.matmul if cast.whole else None,
        relayout=cast.transposes if fast else None,
        io=io,
        summary=f"{cast.summary}, {transposes}" + (", fp16 in and out" if io == FP16 else ""),
        speed_rank=rank,
    )


def _inf2_mode(cast: str, dtype: str, rank: int) -> Mode:
    what = "every operator" if cast == "all" else "matrix products"
    return Mode(
        f"{cast}-{dtype}",
        "inf2",
        ("--auto-cast", cast, "--auto-cast-type", dtype),
        matmul=dtype,
        everything=dtype if cast == "all" else None,
        relayout=None,
        io=FP32,
        summary=f"{what} in {dtype}",
        speed_rank=rank,
    )


def _all_modes() -> tuple[Mode, ...]:
    inf1 = [
        _inf1_mode(cast, fast, io)
        for io in (FP32, FP16)
        for cast in _INF1_CASTS
        for fast in (True, False)
    ]
    slowest = len(_INF2_SLOWEST_FIRST) + 1
    inf2 = [
        _inf2_mode(cast, dtype, slowest - 1 - index)
        for index, (cast, dtype) in enumerate(_INF2_SLOWEST_FIRST)
    ]
    none = ("--auto-cast", "none")
    as_written = Mode("none", "inf2", none, FP32, None, None, FP32, "nothing is cast", slowest)
    return (*inf1, *reversed(inf2), as_written)


MODES: dict[str, Mode] = {mode.key: mode for mode in _all_modes()}  # by "target:name"


def with_fast_relayout(mode: Mode) -> Optional[Mode]:
    """The same mode with fast transposes in place of exact ones; None if it has no such choice."""
    if "no-fast-relayout" not in mode.compiler_args:
        return None
    wanted = tuple(word.replace("no-fast-", "fast-") for word in mode.compiler_args)
    alike = (m for m in MODES.values() if (m.target, m.io) == (mode.target, mode.io))
    return next(m for m in alike if m.compiler_args == wanted)


def modes_of(target: str) -> tuple[Mode, ...]:
    """A target's modes, the fastest first. Raises TargetError that lists the targets there are."""
    found = [mode for mode in MODES.values() if mode.target == target]
    if not found:
        targets = ", ".join(dict.fromkeys(mode.target for mode in MODES.values()))
        raise TargetError(f"target {target!r} has no precision modes; {targets} have")
    return tuple(sorted(found, key=lambda mode: mode.speed_rank))


def mode_named(target: str, name: str) -> Mode:
    """A row of `MODES`. Raises TargetError that lists what there is."""
    modes = {mode.name: mode for mode in modes_of(target)}
    if name not in modes:
        raise TargetError(
            f"target {target!r} has no precision {name!r}; choose from {', '.join(modes)}"
        )
    return modes[name]
