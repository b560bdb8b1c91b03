"""Plans and the evidence for them, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from compile.plan.calibrate import Check, checks, leave_one_out
from compile.plan.calibration import CALIBRATIONS, factor
from compile.plan.estimate import Estimate, Range
from compile.plan.work import VALUE_BYTES
from depth.chips import Chip, Instance

if TYPE_CHECKING:
    from compile.plan.plan import Plan
_COLUMNS = "latency ms | images/s per core | images/s | bound by | $ per million images |"
_ALIGN = "--:|--:|--:|---|--:|"


def plan_table(plan: Plan) -> str:
    """One plan, all its layouts; the best one is bold."""
    lines = [
        f"## {plan.name} on {plan.instance.name}: estimated, never measured",
        "",
        _work_line(plan),
        _instance_line(plan.instance, plan.host.decode_ms, plan.dollars_per_hour),
        _range_line(plan.instance.chip),
        "",
        f"| layout, {plan.instance.cores} cores in parallel | {_COLUMNS}",
        f"|---|{_ALIGN}",
    ]
    for found in plan.estimates:
        label = f"**{found.layout}** (best)" if found is plan.best else str(found.layout)
        lines.append(f"| {label} | {_cells(found)}")
    return "\n".join(lines)


def overview_table(plans: Sequence[Plan]) -> str:
    """Several plans, a line each, with the layout that was asked for."""
    lines = [
        f"## {plans[0].chosen.layout}: estimated, never measured",
        "",
        *(_range_line(chip) for chip in dict.fromkeys(plan.instance.chip for plan in plans)),
        "",
        f"| network | instance | {_COLUMNS} images/s of the best layout |",
        f"|---|---|{_ALIGN}---|",
    ]
    lines += [
        f"| {plan.name} | {plan.instance.name} | {_cells(plan.chosen)} "
        f"{_number(plan.best.images_per_s.middle)}: {plan.best.layout} |"
        for plan in plans
    ]
    return "\n".join(lines)


def evidence_tables(chip: Chip) -> str:
    """The fit for one chip: its parameters, the rows it has seen and those it has not."""
    found = CALIBRATIONS[chip]
    others = {check.row: check for check in leave_one_out(chip)}
    lines = [
        f"## {chip.name}: predicted and published",
        "",
        f"Fitted: {found.linear:.0%} of the matrix engine's peak for products of matrices, "
        f"{found.conv:.0%} for convolutions, {found.memory:.0%} of the memory's peak, "
        f"{found.sharing:.2f} times slower when all cores of a chip work, "
        f"{found.input_gb_s:.2f} GB/s from the host per program, {found.call_ms:.2f} ms per call.",
        "",
        "| row of the fit | published ms per call | predicted | ratio | ratio if left out |",
        "|---|--:|--:|--:|--:|",
    ]
    lines += [
        f"{_check_cells(check)} {others[check.row].ratio:.2f} |"
        for check in checks(chip, found, calibrates=True)
    ]
    limit = factor(chip)
    lines += [
        "",
        f"Range: {1 / limit:.2f} to {limit:.2f}, two standard deviations of the last column.",
        "",
        "| row the fit has not seen | published ms per call | predicted | ratio | in the range |",
        "|---|--:|--:|--:|---|",
    ]
    unseen = checks(chip, found, calibrates=False)
    missed = outside(unseen, limit)
    lines += [f"{_check_cells(c)} {'NO' if c in missed else 'yes'} |" for c in unseen]
    return "\n".join(lines)


def outside(found: Sequence[Check], limit: float) -> list[Check]:
    """Those that are off by more than a factor."""
    return [check for check in found if not 1 / limit <= check.ratio <= limit]


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


def _range_line(chip: Chip) -> str:
    return (
        f"- in brackets the range, {chip.name}: a factor of {factor(chip):.2f} from the fit to "
        "published rows, and what no row tells: whether attention scores stay in a core, what "
        "narrow layers waste, whether engines work side by side"
    )


def _cells(found: Estimate) -> str:
    return (
        f"{_text(found.latency_ms)} | {_text(found.images_per_s_per_core)} | "
        f"{_text(found.images_per_s)} | {found.bound} | {_text(found.dollars_per_million)} |"
    )


def _check_cells(check: Check) -> str:
    return (
        f"| {check.row.name} | {check.row.call_ms:.2f} | {check.call_ms:.2f} | {check.ratio:.2f} |"
    )


def _text(found: Range) -> str:
    return f"{_number(found.middle)} ({_number(found.low)} to {_number(found.high)})"


def two_digits(value: float) -> float:
    """As the tables show an estimate: more would promise too much."""
    return float(f"{value:.2g}")


def _number(value: float) -> str:
    rounded = two_digits(value)
    return f"{rounded:.0f}" if rounded >= 10 else f"{rounded:g}"
