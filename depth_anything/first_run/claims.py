"""What the README says about the device, and how a first run tells whether it is so.

One claim for each row of the README's tables about Inferentia; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable, Optional

from depth.chips import INFERENTIA
from depth.family import model_named
from depth.sizes import Size, parse_size
from depth_anything.first_run.compile_host import (
    APART,
    DECODER,
    DEMO,
    ENCODER,
    FUSED,
    MODEL,
)
from depth_anything.first_run.instance import (
    EVERY_CORE,
    bench_name,
    cores_name,
    main_artifact,
    parity_name,
)
from depth_anything.first_run.trial import COMPILE, Tried

if TYPE_CHECKING:
    from compile.plan.plan import Plan

HOLDS, WRONG, OPEN, ELSEWHERE = "holds", "wrong", "not measured", "not about the device"
Results = Mapping[str, Tried]
_SCALES = 0.9  # of the rate of one core times the number of cores
_ONE_CHIP = "inf1.xlarge"
_MACS = 0.1  # how far the compiler's count may be from ours


@dataclass(frozen=True)
class Verdict:
    state: str
    text: str


@dataclass(frozen=True)
class Claim:
    row: str  # the first column of its row in the README
    judge: Callable[[Results], Verdict]


def _operators(results: Results) -> Verdict:
    """Every operator of every program of the model was compiled."""
    programs = [row for name in _built(results) for row in results[name].facts.get("built", ())]
    if not programs:
        return Verdict(OPEN, _why_not(results, FUSED))
    unknown = [row for row in programs if row["operators"] is None]
    if unknown:
        return Verdict(OPEN, f"{unknown[0]['name']}: the SDK's log has no count of operators")
    left = [row for row in programs if row["operators"] != row["compiled"]]
    if left:
        worst = left[0]
        return Verdict(WRONG, f"{worst['name']}: {worst['compiled']} of {worst['operators']}")
    counts = ", ".join(f"{row['name']} {row['compiled']}" for row in programs)
    return Verdict(HOLDS, f"all of {len(programs)} programs: {counts}")


def _price(results: Results) -> Verdict:
    """The compiler counts the multiply-accumulates that we count."""
    programs = results[FUSED].facts.get("built") if FUSED in results else None
    counted = sum(row["macs"] for row in programs or ())
    if not counted:
        return Verdict(OPEN, "the compiler left no count of multiply-accumulates")
    ours = sum(product.macs for product in _planned(_size(results[FUSED])).work.products)
    text = f"{counted / 1e9:.4g} GMAC by the compiler, {ours / 1e9:.4g} here"
    return Verdict(HOLDS if abs(counted / ours - 1) <= _MACS else WRONG, text)


def _cores(results: Results) -> Verdict:
    """Every core works, and four cores answer nearly four times as many images."""
    each = results.get(EVERY_CORE)
    if each is None:
        return Verdict(OPEN, "no core was tried")
    if not each.passed:
        return Verdict(WRONG, each.why)
    one, every = _rate(results, 1), _rate(results, INFERENTIA.cores)
    if one is None or every is None:
        return Verdict(OPEN, "throughput was not measured on one core and on all")
    share = every / (INFERENTIA.cores * one)
    text = f"{every:.3g} images/s on {INFERENTIA.cores} cores, {one:.3g} on one: {share:.0%}"
    return Verdict(HOLDS if share >= _SCALES else WRONG, text)


def _precision(results: Results) -> Verdict:
    """Every artifact of the model is within its limit on the device."""
    return _parity(results, [name for name in _built(results) if name != DEMO])


def _numbers(results: Results) -> Verdict:
    """Parity runs on the device, and the demo model passes it."""
    return _parity(results, [name for name in _built(results) if name == DEMO])


def _parity(results: Results, names: list[str]) -> Verdict:
    tried = [results[parity_name(name)] for name in names if parity_name(name) in results]
    measured = [row for row in tried if "measured" in row.facts]
    failed = [row for row in tried if not row.passed]
    if failed:
        return Verdict(WRONG if measured else OPEN, f"{failed[0].name}: {failed[0].why}")
    if not measured:
        return Verdict(OPEN, "no parity was measured on the device")
    worst = max(_largest(row.facts["measured"]["programs"]) for row in measured)
    return Verdict(HOLDS, f"{len(measured)} artifacts within the limit, largest error {worst:.2g}")


def _largest(programs: Mapping[str, Any]) -> float:
    return max(
        (
            errors.get("max_rel") or 0.0
            for outputs in programs.values()
            for errors in outputs.values()
        ),
        default=0.0,
    )


def _speed(results: Results) -> Verdict:
    """One run takes as long as the plan says, within its range."""
    name = main_artifact({name: "" for name in _built(results)})
    found = results.get(bench_name(name))
    if found is None or "bench" not in found.facts or name == DEMO:
        return Verdict(OPEN, _why_not(results, bench_name(name)))
    expected = _planned(_size(results[name]), name == APART).chosen.latency_ms
    measured = found.facts["bench"]["latency_ms"]
    inside = expected.low <= measured <= expected.high
    return Verdict(
        HOLDS if inside else WRONG,
        f"{measured:.3g} ms for {name}; estimated {expected.low:.2g} to {expected.high:.2g} ms",
    )


def _stage(name: str) -> Callable[[Results], Verdict]:
    def judge(results: Results) -> Verdict:
        tried = results.get(name)
        if tried is None:
            return Verdict(OPEN, "not tried")
        if not tried.passed:
            return Verdict(WRONG, tried.why)
        return Verdict(HOLDS, f"compiled in {tried.facts.get('compile_s', 0):.4g} s")

    return judge


def _larger(results: Results) -> Verdict:
    """A size with more pixels than the one that everything is compared at was compiled."""
    if FUSED not in results:
        return Verdict(OPEN, "not tried")
    height, width = _size(results[FUSED])
    sized = [row for row in results.values() if row.name.startswith(MODEL) and _has_size(row)]
    larger = [row for row in sized if _size(row)[0] * _size(row)[1] > height * width]
    compiled = [row.name for row in larger if row.artifact]
    if compiled or not larger:
        return Verdict(HOLDS if compiled else OPEN, ", ".join(compiled) or "not tried")
    return Verdict(WRONG, f"{larger[0].name}: {larger[0].why}")


def _untried(_results: Results) -> Verdict:
    return Verdict(OPEN, "no trial is about it")


def _on_cpu(_results: Results) -> Verdict:
    return Verdict(ELSEWHERE, "measured on CPUs")


CLAIMS: tuple[Claim, ...] = (
    Claim("operators on the chip, 518×518 to 518×924", _operators),
    Claim("the same at 504×504", _untried),
    Claim("price of that", _price),
    Claim("lowered against plain network, float32", _on_cpu),
    Claim("cores", _cores),
    Claim("precision", _precision),
    Claim("speed of `vits`, 518×518, inf1.xlarge", _speed),
    Claim("numbers of a program on the device", _numbers),
    # What others have compiled, and what nobody is known to have compiled.
    Claim("encoder of `vits`, 518×518, batch 1", _stage(ENCODER)),
    Claim("decoder, all of it on the chip", _stage(DECODER)),
    Claim("`vitb`, `vitl`", _untried),
    Claim("sizes above 518×518", _larger),
    Claim("batches above 1", _untried),
)


def _built(results: Results) -> list[str]:
    """The trials that built an artifact."""
    return [name for name, tried in results.items() if tried.artifact and tried.role == COMPILE]


def _rate(results: Results, cores: int) -> Optional[float]:
    """Images per second on this number of cores, with two runs in flight on each core."""
    tried = results.get(cores_name(cores))
    rates = tried.facts.get("bench", {}).get("images_per_s", {}) if tried else {}
    found: Optional[float] = rates.get(str(2 * cores))
    return found


@lru_cache
def _planned(size: Size, split: bool = False) -> Plan:
    """What the plan expects of the model on one chip, all its cores at work."""
    from compile.plan.estimate import Layout
    from compile.plan.plan import plan_for

    return plan_for(model_named(MODEL), size, _ONE_CHIP, Layout(split=split))


def _has_size(tried: Tried) -> bool:
    return "--size" in tried.commands[0]


def _size(tried: Tried) -> Size:
    words = tried.commands[0]
    return parse_size(words[words.index("--size") + 1], lambda _size: None)


def _why_not(results: Results, name: str) -> str:
    tried = results.get(name)
    return tried.why if tried and tried.why else "not tried"


def judged(results: Results) -> list[tuple[Claim, Verdict]]:
    return [(claim, claim.judge(results)) for claim in CLAIMS]
