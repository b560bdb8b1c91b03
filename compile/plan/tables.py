"""Plans as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from compile.plan.calibration import AWS, BEST_CALIBRATIONS, CALIBRATIONS, OTHERS, factors
from compile.plan.estimate import Estimate, Range, two_digits
from compile.plan.plan import Plan
from compile.plan.work import VALUE_BYTES
from depth.chips import Chip, Instance
from depth.console import markdown

_COLUMNS = ("latency ms", "images/s per core", "images/s", "bound by", "$ per million images")
_NUMBERS = (0, 1, 2, 4)  # places in _COLUMNS


def plan_table(plan: Plan) -> str:
    """A plan with all its layouts; the best layout is bold."""
    heading = (f"layout, {plan.instance.cores} cores in parallel", *_COLUMNS)
    rows = [
        (f"**{found.layout}** (best)" if found is plan.best else str(found.layout), *_cells(found))
        for found in plan.estimates
    ]
    lines = [
        f"## {plan.name} on {plan.instance.name}: estimated, never measured",
        "",
        _work_line(plan),
        _instance_line(plan.instance, plan.host.decode_ms, plan.dollars_per_hour),
        range_line(plan.instance.chip),
        "",
        *markdown(heading, rows, right=[1 + place for place in _NUMBERS]),
    ]
    return "\n".join(lines)


def overview_table(plans: Sequence[Plan]) -> str:
    heading = ("network", "instance", *_COLUMNS, "images/s of the best layout")
    rows = [
        (
            plan.name,
            plan.instance.name,
            *_cells(plan.chosen),
            f"{_number(plan.best.images_per_s.middle)}: {plan.best.layout}",
        )
        for plan in plans
    ]
    lines = [
        f"## {plans[0].chosen.layout}: estimated, never measured",
        "",
        *(range_line(chip) for chip in dict.fromkeys(plan.instance.chip for plan in plans)),
        "",
        *markdown(heading, rows, right=[2 + place for place in _NUMBERS]),
    ]
    return "\n".join(lines)


def _work_line(plan: Plan) -> str:
    work = plan.work
    macs = ", ".join(f"{kind} {count / 1e9:.1f}" for kind, count in work.macs.items())
    return (
        f"- an image: {sum(work.macs.values()) / 1e9:.1f} GMAC ({macs}), "
        f"{work.input_bytes / 1e6:.1f} MB of input; weights {work.weights * VALUE_BYTES / 1e6:.0f} "
        f"MB, attention scores {work.scores * VALUE_BYTES / 1e6:.1f} MB per layer, in 16 bit"
    )


def _instance_line(instance: Instance, decode_ms: float, dollars_per_hour: float) -> str:
    return (
        f"- {instance.name}: {instance.chips} x {instance.chip.name}, {instance.cores} cores, "
        f"{instance.vcpus} vCPUs at {decode_ms:g} CPU-ms per image for reading and writing files, "
        f"${dollars_per_hour:g} per hour"
    )


def range_line(chip: Chip) -> str:
    whole, aws, others = map(_factors, (factors(chip), AWS[chip].factors, OTHERS[chip].factors))
    call = "" if BEST_CALIBRATIONS[chip] == CALIBRATIONS[chip] else ", what a call costs the host"
    return (
        f"- in brackets the range, {chip.name}: a time is {whole} times the estimate by published "
        f"rows (AWS's own {aws}, those of others {others}); besides, no row tells whether "
        "attention scores stay in a core, what narrow layers waste, whether engines work side by "
        f"side{call}"
    )


def _factors(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.2f} to {ends[1]:.2f}"


def _cells(found: Estimate) -> tuple[str, ...]:
    """In the order of _COLUMNS."""
    rates = found.latency_ms, found.images_per_s_per_core, found.images_per_s
    return (*map(range_text, rates), found.bound, range_text(found.dollars_per_million))


def range_text(found: Range) -> str:
    return f"{_number(found.middle)} ({_number(found.low)} to {_number(found.high)})"


def _number(value: float) -> str:
    rounded = two_digits(value)
    return f"{rounded:.0f}" if rounded >= 10 else f"{rounded:g}"
