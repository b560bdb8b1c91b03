"""A plan: one network at one size on one instance, in the ways that make sense, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Optional

from compile.plan.estimate import DECODE_MS, Estimate, Host, Layout, estimate, two_digits
from compile.plan.roofline import Load, fits_on_chip
from compile.plan.work import Work, work_of
from depth.chips import Instance, instance_named
from depth.errors import InputError
from depth.family import Model
from depth.sizes import Size, size_text

# As many as compile/lowering has variants for.
ATTENTION_BLOCKS = (1, 2, 4, 8, 16)

_FUSED = Layout()


@dataclass(frozen=True)
class Plan:
    """What was asked for comes first in `estimates`; the others are for comparison."""

    name: str  # "vits at 518x686"
    work: Work  # of one image, all stages
    instance: Instance
    host: Host
    dollars_per_hour: float
    estimates: tuple[Estimate, ...]

    @property
    def chosen(self) -> Estimate:
        """Of the layout that was asked for."""
        return self.estimates[0]

    @property
    def best(self) -> Estimate:
        """Most images per second; of those that two digits cannot tell apart, the quickest."""
        return min(
            self.estimates,
            key=lambda found: (-two_digits(found.images_per_s.middle), found.latency_ms.middle),
        )


def plan_for(
    model: Model,
    size: Size,
    instance: str,
    layout: Layout = _FUSED,
    dollars_per_hour: Optional[float] = None,
    decode_ms: float = DECODE_MS,
) -> Plan:
    """Estimate a model at a size (height, width) in px; the price is the instance's by default.

    Raises InputError for an unknown instance, a size that no network can have, and a layout, a
    price or a time that make no sense.
    """
    model.size.check(size)
    machine = instance_named(instance)
    price = machine.dollars_per_hour if dollars_per_hour is None else dollars_per_hour
    _check(machine, layout, price, decode_ms)
    stages = work_of(model, size)
    if layout.split and len(stages) == 1:
        raise InputError(f"{model.name} is one program: it has no stages to split into")
    whole, host = reduce(add, stages), Host(decode_ms)
    others = [
        other for other in _alternatives(whole, machine) if len(stages) > 1 or not other.split
    ]
    estimates = tuple(
        estimate(stages if used.split else [whole], machine, used, host, price)
        for used in dict.fromkeys((layout, *others))
    )
    name = f"{model.name} at {size_text(size)}"
    return Plan(name, whole, machine, host, price, estimates)


def _alternatives(work: Work, instance: Instance) -> Iterator[Layout]:
    for batch in (1, 2, 4):
        yield Layout(batch)
    for blocks in ATTENTION_BLOCKS:
        if fits_on_chip(work, instance.chip, Load(attention_blocks=blocks)):
            yield Layout(attention_blocks=blocks)
            break
    yield Layout(split=True)
    if instance.chip.has_pipeline:
        yield Layout(cores_per_program=instance.chip.cores)


def _check(instance: Instance, layout: Layout, dollars_per_hour: float, decode_ms: float) -> None:
    cores = layout.cores_per_program
    if layout.batch < 1:
        raise InputError(f"batch {layout.batch}: must be at least 1")
    if cores > 1 and not instance.chip.has_pipeline:
        raise InputError(
            f"{cores} cores per program: {instance.name} has no NeuronCore Pipeline, only inf1 has"
        )
    if cores < 1 or instance.cores % cores:
        raise InputError(
            f"{cores} cores per program: choose a divisor of the {instance.cores} cores of "
            f"{instance.name}"
        )
    if layout.attention_blocks not in ATTENTION_BLOCKS:
        raise InputError(
            f"{layout.attention_blocks} attention blocks: choose from "
            f"{', '.join(map(str, ATTENTION_BLOCKS))}"
        )
    check_host(dollars_per_hour, decode_ms)


def check_host(dollars_per_hour: float, decode_ms: float) -> None:
    """Raise InputError for a price or a time that makes no sense."""
    for name, value in (("price per hour", dollars_per_hour), ("decoding time in ms", decode_ms)):
        if not 0 <= value < float("inf"):
            raise InputError(f"{name} {value}: must be 0 or more")
