"""The chips and the instances that have them, as data.

From the AWS Neuron SDK documentation: inferentia, inferentia2, neuron-core-v1, neuron-core-v2,
inf1-arch, inf2-arch and trn1-arch for the hardware; the instance_prices tables of its benchmark
pages for prices on demand in us-east-1, as they were in 2021 to 2023.
"""

from __future__ import annotations

from dataclasses import dataclass

from depth.errors import InputError


@dataclass(frozen=True)
class Chip:
    name: str
    cores: int
    peak_tflops: float  # matrix engine of one core, 16 bit
    vector_tflops: float  # vector engine of one core
    memory_gib_s: float  # of the chip, shared by its cores
    on_chip_mb: float  # memory inside one core
    array: tuple[int, int]  # matrix engine: inputs of a sum x outputs
    has_pipeline: bool  # NeuronCore Pipeline: one program over several cores


# Three figures of the first chip are not documented. Memory in a core: 2e7 weights of 16 bit on 4
# cores, from the rule for the size of a pipeline. The array: as tiles in a compiled program were
# cut. The vector engine: a tenth of its successor's.
INFERENTIA = Chip("Inferentia", 4, 16.0, 0.23, 50.0, 10.0, (128, 64), True)
# Inferentia2 and Trainium have the same cores, rates and memory.
INFERENTIA2 = Chip("Inferentia2", 2, 95.0, 2.3, 820.0, 25.2, (128, 128), False)


@dataclass(frozen=True)
class Instance:
    name: str
    chip: Chip
    chips: int
    vcpus: int
    dollars_per_hour: float  # on demand

    @property
    def cores(self) -> int:
        return self.chips * self.chip.cores


INSTANCES: dict[str, Instance] = {
    instance.name: instance
    for instance in (
        Instance("inf1.xlarge", INFERENTIA, 1, 4, 0.228),
        Instance("inf1.2xlarge", INFERENTIA, 1, 8, 0.362),
        Instance("inf1.6xlarge", INFERENTIA, 4, 24, 1.18),
        Instance("inf1.24xlarge", INFERENTIA, 16, 96, 4.721),
        Instance("inf2.xlarge", INFERENTIA2, 1, 4, 0.758),
        Instance("inf2.8xlarge", INFERENTIA2, 1, 32, 1.97),
        Instance("inf2.24xlarge", INFERENTIA2, 6, 96, 6.49),
        Instance("inf2.48xlarge", INFERENTIA2, 12, 192, 12.981),
        Instance("trn1.2xlarge", INFERENTIA2, 1, 8, 1.34),
        Instance("trn1.32xlarge", INFERENTIA2, 16, 128, 21.50),
    )
}


def instance_named(name: str) -> Instance:
    """The row of `INSTANCES`; raises InputError that lists the names there are."""
    try:
        return INSTANCES[name]
    except KeyError:
        raise InputError(f"no instance {name!r}; choose from {', '.join(INSTANCES)}") from None
