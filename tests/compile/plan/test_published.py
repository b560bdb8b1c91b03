"""The published rows: consistent with themselves, and with the networks they name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Callable

import pytest

from compile.plan.work import Work
from depth.chips import INFERENTIA, INFERENTIA2, Chip
from tests.benchmarks.published import BERT, OPENPOSE, ROWS, UNET, VIT_BASE, Kind, Row

Convolution = tuple[int, int, int, int]  # inputs, outputs, taps, pixels

_EVERY = [(chip, row) for chip, rows in ROWS.items() for row in rows]


def in_flight(row: Row) -> float:
    """Calls in flight per program, by Little's law."""
    return row.images_per_s * row.latency_ms / 1e3 / row.batch / row.programs


@pytest.mark.parametrize(("chip", "row"), _EVERY, ids=lambda value: value.name)
def test_throughput_and_latency_agree_with_the_calls_in_flight(chip: Chip, row: Row) -> None:
    assert in_flight(row) == pytest.approx(row.in_flight, rel=0.14)
    assert row.programs * row.cores_per_program <= chip.cores * row.chips


@pytest.mark.parametrize(
    ("batch", "programs", "threads", "images_per_s", "latency_ms"),
    [
        (10, 4, 2, 2207.0, 17.8),  # ResNet-50 in TensorFlow, batch as the table has it
        (4, 4, 1, 1056.0, 20.0),  # BERT tutorial, likewise
        (5, 1, 1, 593.4, 10.0),  # DistilBERT sst-2, left aside
    ],
)
def test_the_check_refuses_the_rows_that_were_corrected_or_left_aside(
    batch: int, programs: int, threads: int, images_per_s: float, latency_ms: float
) -> None:
    row = Row("as printed", BERT, batch, programs, threads, images_per_s, latency_ms, Kind.FITTED)
    assert in_flight(row) != pytest.approx(threads, rel=0.14)


def openpose() -> Iterator[Convolution]:
    inputs, height, width = 3, 368, 656
    for outputs in (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 256, 128):
        if not outputs:  # pooling
            height, width = height // 2, width // 2
            continue
        yield inputs, outputs, 9, height * width
        inputs = outputs
    pixels = height * width
    for last in (38, 19):  # affinity fields, confidence maps
        yield from [(128, 128, 9, pixels)] * 3
        yield from [(128, 512, 1, pixels), (512, last, 1, pixels)]
        for _ in range(5):
            yield 128 + 38 + 19, 128, 49, pixels
            yield from [(128, 128, 49, pixels)] * 4
            yield from [(128, 128, 1, pixels), (128, last, 1, pixels)]


def unet() -> Iterator[Convolution]:
    side = 224
    for level, (before, after) in enumerate(
        ((3, 64), (64, 128), (128, 256), (256, 512), (512, 1024))
    ):
        pixels = (side >> level) ** 2
        yield from [(before, after, 9, pixels), (after, after, 9, pixels)]
    for level, channels in ((3, 1024), (2, 512), (1, 256), (0, 128)):
        half, pixels = channels // 2, (side >> level) ** 2
        yield channels, half, 4, pixels // 4  # transposed: every input pixel meets all taps
        yield from [(channels, half, 9, pixels), (half, half, 9, pixels)]
    yield 64, 2, 1, side**2


@pytest.mark.parametrize(
    ("layers", "work"), [(openpose, OPENPOSE), (unet, UNET)], ids=["OpenPose", "UNet"]
)
def test_the_count_adds_up_layers_of_networks_without_a_published_count(
    layers: Callable[[], Iterator[Convolution]], work: Work
) -> None:
    convolutions = list(layers())
    macs = sum(a * b * taps * pixels for a, b, taps, pixels in convolutions)
    assert macs == pytest.approx(work.macs["conv"], rel=0.002)
    weights = sum(a * b * taps for a, b, taps, _ in convolutions)
    assert weights == pytest.approx(work.weights, rel=0.002)


def test_transformers_have_the_well_known_counts() -> None:
    assert sum(BERT.macs.values()) == pytest.approx(11.2e9, rel=0.01)
    assert BERT.weights == pytest.approx(85e6, rel=0.01)  # 110 M with the embeddings
    assert sum(VIT_BASE.macs.values()) == pytest.approx(17.56e9, rel=0.02)  # torchvision's figure


def test_rows_check_the_fit_that_did_not_make_it() -> None:
    for rows in ROWS.values():
        kinds = [row.kind for row in rows]
        assert kinds.count(Kind.FITTED) >= 7
        assert kinds.count(Kind.HELD_OUT) >= 7
        assert kinds.count(Kind.OTHERS) >= 35
        assert len({row.name for row in rows}) == len(rows)


def named(chip: Chip, name: str) -> Row:
    return next(row for row in ROWS[chip] if row.name == name)


def test_a_longer_sequence_has_its_own_work() -> None:
    short, long = (named(INFERENTIA, f"BERT base, {n} tokens").work for n in (128, 512))
    assert short == BERT
    assert long.macs["linear"] == 4 * short.macs["linear"]
    assert long.macs["attention"] == 16 * short.macs["attention"]
    assert (long.scores, long.layers) == (12 * 512**2, 12)
    assert long.input_bytes == 4 * 512 * 768
    assert long.weights == short.weights
    assert named(INFERENTIA2, "BERT base, 512 tokens").work.input_bytes == 4 * 512 * 2


def test_layers_that_share_their_weights_work_as_often() -> None:
    shared, apart = (named(INFERENTIA, f"{name}, 256 tokens") for name in ("ALBERT", "BERT base"))
    assert shared.work.products == apart.work.products
    assert 12 * shared.work.weights == apart.work.weights


def test_a_row_of_others_is_one_call_at_a_time() -> None:
    row = named(INFERENTIA, "ViT-B/16")
    assert (row.batch, row.programs, row.in_flight, row.call_ms) == (1, 1, 1, 9.39)
    assert row.images_per_s == pytest.approx(106.5, abs=0.05)
