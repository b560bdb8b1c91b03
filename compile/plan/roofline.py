"""How long one call of a program takes, by a roofline with calibrated efficiencies.

A call is work of the host (the call itself, handing over the input), then of the device. Engines
of a core work side by side, so the slowest one is the device's time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from compile.plan.work import VALUE_BYTES, Work
from compile.products import CONV, Product
from depth.chips import Chip

MATRIX, VECTOR, MEMORY = "matrix engine", "vector engine", "device memory"
INPUT, CALL = "input transfer", "call overhead"

# What softmax does to each score: largest, subtract, exponential, sum, divide.
_SOFTMAX_OPERATIONS = 5


@dataclass(frozen=True)
class Calibration:
    """Fitted to published rows; see tests/benchmarks/calibrate.py."""

    linear: float  # share of the matrix engine's peak, for products of matrices
    conv: float  # the same, for convolutions
    memory: float  # share of the memory's peak
    sharing: float  # how much slower a core is when all cores of its chip work
    input_gb_s: float  # from the host, per program
    call_ms: float  # of the host, per call


@dataclass(frozen=True)
class Case:
    """What no published row can tell: none has more than 512 tokens, or maps of few channels."""

    trips_fitting: int  # of attention scores to device memory and back, if they fit into a core
    trips_spilling: int  # and if they do not
    fills_array: bool  # or a product pays for the rows and columns that it leaves idle
    overlaps: bool  # do a core's engines and its memory work side by side?


MIDDLE = Case(0, 1, fills_array=True, overlaps=True)
BEST = Case(0, 0, fills_array=True, overlaps=True)
WORST = Case(1, 3, fills_array=False, overlaps=False)


@dataclass(frozen=True)
class Load:
    """How a chip is used."""

    batch: int = 1
    active_cores: int = 1  # of the chip, at the same time
    cores_per_program: int = 1
    attention_blocks: int = 1  # slices of the queries


@dataclass(frozen=True)
class Time:
    """The parts of one call of one program, in ms."""

    call_ms: float
    input_ms: float
    engines_ms: dict[str, float]  # matrix, vector, memory
    overlaps: bool

    @property
    def device_ms(self) -> float:
        return (max if self.overlaps else sum)(self.engines_ms.values())

    @property
    def total_ms(self) -> float:
        return self.call_ms + self.input_ms + self.device_ms


def time_of(work: Work, chip: Chip, fit: Calibration, load: Load, case: Case = MIDDLE) -> Time:
    """One call of `load.batch` images."""
    sharing = 1 + (fit.sharing - 1) * (load.active_cores - 1) / (chip.cores - 1)
    engines_ms = {
        MATRIX: sharing * load.batch * _matrix_s(work.products, chip, fit, case) * 1e3,
        VECTOR: load.batch * _softmax_operations(work) / (chip.vector_tflops * 1e12) * 1e3,
        MEMORY: _memory_bytes(work, chip, load, case)
        / (chip.memory_gib_s * 2**30 * fit.memory / load.active_cores)
        * 1e3,
    }
    input_ms = load.batch * work.input_bytes / (fit.input_gb_s * 1e9) * 1e3
    return Time(fit.call_ms, input_ms, engines_ms, case.overlaps)


def calls_per_s(times: Sequence[Time], cores_per_program: int, in_flight: float) -> float:
    """Of a chain of programs on the same cores, with `in_flight` calls at a time.

    Either the calls in flight limit the rate, or the device does. Cores of a pipeline share a
    program equally.
    """
    total_ms = sum(time.total_ms for time in times)
    device_ms = sum(time.device_ms for time in times)
    return 1e3 * min(in_flight / total_ms, cores_per_program / device_ms)


def fits_on_chip(work: Work, chip: Chip, load: Load) -> bool:
    """Do the attention scores of one layer fit into half of a core's memory?"""
    return load.batch * _score_bytes(work) / load.attention_blocks <= chip.on_chip_mb * 1e6 / 2


def pipeline_cores(weights: float) -> int:
    """Number of cores that hold `weights` weights, by the NeuronCore Pipeline page."""
    return 4 * max(1, round(weights / 2e7))


def _matrix_s(products: Sequence[Product], chip: Chip, fit: Calibration, case: Case) -> float:
    peak_macs_s = chip.peak_tflops * 1e12 / 2
    return (
        sum(
            product.macs
            / (fit.conv if product.kind == CONV else fit.linear)
            / (1.0 if case.fills_array else _fill(product, chip))
            for product in products
        )
        / peak_macs_s
    )


def _fill(product: Product, chip: Chip) -> float:
    """The share of the array that is not idle, if nothing is packed into the rest."""
    sides = zip((product.depth, product.width), chip.array)
    shares = [used / (ceil(used / side) * side) for used, side in sides]
    return shares[0] * shares[1]


def _softmax_operations(work: Work) -> float:
    return _SOFTMAX_OPERATIONS * work.total_scores


def _score_bytes(work: Work) -> float:
    return VALUE_BYTES * work.scores


def _memory_bytes(work: Work, chip: Chip, load: Load, case: Case) -> float:
    trips = case.trips_fitting if fits_on_chip(work, chip, load) else case.trips_spilling
    scores = 2 * trips * load.batch * VALUE_BYTES * work.total_scores
    kept = load.cores_per_program > 1 and load.cores_per_program >= pipeline_cores(work.weights)
    return scores + (0.0 if kept else VALUE_BYTES * work.weights)
