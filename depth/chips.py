"""Inferentia chips, the instances that have them, and the SDK versions that go together: one table.

Sources: AWS Neuron SDK documentation (inferentia, inferentia2, neuron-core-v1, neuron-core-v2,
inf1-arch, inf2-arch, trn1-arch; installation, release notes and package manifest; compatibility of
numpy and protobuf; the instance_prices tables of its benchmark pages, on demand in us-east-1, 2021
to 2023), and reports of users in AWS's public repositories.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from depth.errors import InputError

_ROOT = Path(__file__).resolve().parents[1]
INF1, INF2 = "inf1", "inf2"  # targets; Trn1 runs programs of inf2


@dataclass(frozen=True)
class Chip:
    name: str
    cores: int
    core_bytes: int  # device memory that one core may count on
    constants_bytes: Optional[int]  # largest program that the compiler reads; None: not documented
    peak_tflops: float  # matrix engine of one core, 16 bit
    vector_tflops: float  # vector engine of one core
    memory_gib_s: float  # of the chip, shared by its cores
    on_chip_mb: float  # memory inside one core
    array: tuple[int, int]  # matrix engine: inputs of a sum x outputs
    has_pipeline: bool  # NeuronCore Pipeline: one program over several cores

    @property
    def chip_bytes(self) -> int:
        return self.cores * self.core_bytes


# torch-neuron hands constants over in one message, which must stay below 1.9 GB. Three figures of
# the first chip are not documented. Memory in a core: 2e7 weights of 16 bit on 4 cores, from the
# rule for the size of a pipeline. The array: as tiles in a compiled program were cut. The vector
# engine: a tenth of its successor's.
INFERENTIA = Chip(
    "Inferentia", 4, 2_000_000_000, 1_900_000_000, 16.0, 0.23, 50.0, 10.0, (128, 64), True
)
# Inferentia2 and Trainium have the same cores, rates and memory.
INFERENTIA2 = Chip(
    "Inferentia2", 2, 16_000_000_000, None, 95.0, 2.3, 820.0, 25.2, (128, 128), False
)
CHIPS: dict[str, Chip] = {INF1: INFERENTIA, INF2: INFERENTIA2}  # by target


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


def target_of(instance_type: str) -> Optional[str]:
    """The target whose programs run on "inf1.xlarge" and others of its family, or None."""
    targets = {INFERENTIA: INF1, INFERENTIA2: INF2}
    families = {name.split(".")[0]: targets[row.chip] for name, row in INSTANCES.items()}
    return families.get(instance_type.lower()[:4])  # trn1n has the chips of trn1


def parsed(version: str) -> Version:
    """A version; of a system package its first digits, or 0: 2.24.13.0-9b51 is 2.24.13.0."""
    try:
        return Version(version)
    except InvalidVersion:
        digits = re.match(r"\d+(\.\d+)*", version)
        return Version(digits[0] if digits else "0")


def outside(version: str, low: str, high: str) -> bool:
    """Whether a version is not at least `low` and below `high`; "" is no limit."""
    limits = ([f">={low}"] if low else []) + ([f"<{high}"] if high else [])
    return not SpecifierSet(",".join(limits)).contains(parsed(version), prereleases=True)


@dataclass(frozen=True)
class Requirement:
    """Beside `beside`, `package` is at least `low` and below `high`, or absent."""

    package: str
    beside: str
    low: str  # "" for any
    high: str  # "" for any; NEVER: the two do not go together
    why: str
    fix: str = ""  # "": `install_command` of its SDK
    to_compile: bool = False  # where programs are compiled its absence is wrong too
    to_run: bool = False  # where programs run, too
    breaks: bool = True  # False: another version is a risk, no certain failure

    def refuses(self, version: str) -> bool:
        return outside(version, self.low, self.high)

    @property
    def needed(self) -> str:
        """The versions that fit, in words."""
        if self.high == NEVER:
            return "none"
        limits = [f"at least {self.low}"] if self.low else []
        return " and ".join(limits + ([f"below {self.high}"] if self.high else []))


NEVER = "0.dev0"  # no version is below this one


@dataclass(frozen=True)
class Sdk:
    """What a target's programs are compiled and run with."""

    package: str  # traces and runs; the others are judged if this one is installed
    pythons: tuple[tuple[int, int], ...]
    install: str  # the command that brings all packages: see `install_command`
    requirements: tuple[Requirement, ...]
    built_for: Optional[str] = None  # the package whose release it shares, major and minor


SDKS: dict[str, Sdk] = {  # by target
    INF1: Sdk(
        "torch-neuron",
        ((3, 9), (3, 10)),
        "make -C {root} setup-neuron ROLE={role}",
        (
            Requirement(
                "torch",
                "torch-neuron",
                "1.13.1",
                "1.13.2",
                "torch-neuron refuses any other when it is imported",
                to_compile=True,
                to_run=True,
            ),
            Requirement(
                "torch-neuron",
                "torch-neuron",
                "1.13.1",
                "1.13.2",
                "it traces and runs",
                to_compile=True,
            ),
            Requirement("neuron-cc", "neuron-cc", "1.13", "2", "it compiles", to_compile=True),
            Requirement(
                "numpy",
                "torch-neuron",
                "1.21.6",
                "1.24",
                'others fail with "module compiled against API version" or are too new for the '
                "compiler; 1.22.2 is in every stated range",
                to_compile=True,
                to_run=True,
            ),
            Requirement(
                "protobuf",
                "torch-neuron",
                "3.19.5",
                "3.21",
                "later ones refuse the generated code of torch-neuron and of the compiler",
                to_compile=True,
            ),
            Requirement(
                "tensorflow",
                "torch-neuron",
                "1.15",
                "1.16",
                "the compiler reads graphs of TensorFlow 1; TensorFlow 2 breaks torch-neuron",
                to_compile=True,
            ),
            Requirement(
                "tensorflow-cpu", "torch-neuron", "1.15", "1.16", "TensorFlow 2 breaks torch-neuron"
            ),
            Requirement(
                "torch-neuronx",
                "torch-neuron",
                "",
                NEVER,
                "the stacks of Inf1 and Inf2 need different releases of protobuf: make one "
                "environment for each",
            ),
            Requirement(
                "torchvision",
                "torch-neuron",
                "0.14",
                "0.15",
                "only 0.14 goes with torch 1.13",
                breaks=False,
            ),
            Requirement(
                "setuptools",
                "neuron-cc",
                "",
                "82",
                "torch.utils.cpp_extension of torch 1.13 imports pkg_resources, which 82 lacks",
                to_compile=True,
            ),
            Requirement(
                "setuptools",
                "neuron-cc",
                "",
                "70",
                "the compiler's own packages were last seen working with 69.5",
                breaks=False,
            ),
        ),
    ),
    INF2: Sdk(
        "torch-neuronx",
        ((3, 9), (3, 10), (3, 11)),
        "pip install --extra-index-url https://pip.repos.neuron.amazonaws.com "
        "'torch-neuronx==2.7.0.2.10.*' 'neuronx-cc==2.21.*' 'torch==2.7.*' 'protobuf>=3.20'",
        (
            Requirement(
                "torch",
                "torch-neuronx",
                "2.5",
                "2.10",
                "the torch that torch-neuronx has",
                to_compile=True,
                to_run=True,
            ),
            Requirement(
                "torch-neuronx",
                "torch-neuronx",
                "2.5.1.2.7",
                "2.10",
                "it traces and runs; older ones need a chip for tracing",
                to_compile=True,
            ),
            Requirement("neuronx-cc", "neuronx-cc", "2", "3", "it compiles", to_compile=True),
            Requirement(
                "protobuf",
                "torch-neuronx",
                "3.20",
                "",
                "torch-neuronx needs 3.20 or later",
                to_compile=True,
            ),
        ),
        built_for="torch",
    ),
}


def mismatch(sdk: Sdk, library: Optional[str], package: Optional[str]) -> Optional[str]:
    """The release of `sdk.built_for` that `package` of the SDK wants, if `library` is another."""
    if sdk.built_for is None or library is None or package is None:
        return None
    wanted = parsed(package).release[:2]
    return None if parsed(library).release[:2] == wanted else ".".join(map(str, wanted))


def install_command(target: str, role: str) -> str:
    """The command that brings the packages of a target's SDK, from any folder.

    role: "compile" or "serve"; a command for Inf1 differs between them.
    """
    command = SDKS[target].install
    if not (_ROOT / "Makefile").is_file():  # installed from a wheel
        command = command.replace("-C {root}", "-C CHECKOUT")
    return command.format(root=shlex.quote(str(_ROOT)), role=role)
