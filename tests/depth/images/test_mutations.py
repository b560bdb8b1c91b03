"""Image files damaged at random are read or refused, whatever was done to them.

DEPTH_MUTATIONS sets how many; `python -m tests.benchmarks.mutations` has the counts by reason.
"""

from __future__ import annotations

import os
import sys
from itertools import islice
from pathlib import Path

import pytest

from tests.benchmarks import mutations as script
from tests.benchmarks.mutations import kind_of, outcome, take_toll
from tests.support.hostile import mutations
from tests.support.image_samples import MUTABLE, PNG
from tests.support.places import ROOT

COUNT = int(os.environ.get("DEPTH_MUTATIONS", "300"))


def test_every_damaged_file_is_read_or_refused() -> None:
    toll = take_toll(COUNT, seed=1)
    assert (toll.foreign, toll.crashes, toll.hangs) == ({}, {}, {})
    assert toll.read + sum(toll.refused.values()) == toll.files == COUNT
    assert toll.read > COUNT / 20, "no damage is small enough to say anything"
    assert len(toll.refused) > 5


def test_a_seed_gives_the_same_files_from_any_number_on() -> None:
    files = list(islice(mutations(MUTABLE, 3), 20))
    assert list(islice(mutations(MUTABLE, 3), 10, 20)) == files[10:]
    assert list(islice(mutations(MUTABLE, 4), 20)) != files
    assert sum(data != MUTABLE[name] for name, data in files) > 15


_BAD = """
import os, sys, time
import numpy as np, typer
from types import SimpleNamespace as Of
from tests.benchmarks import mutations as script
numbers = iter(range(int(sys.argv[sys.argv.index("--start") + 1]), 1000))
def bad(data, name):
    number = next(numbers)
    if number == 1: os.abort()
    if number == 3: time.sleep(60)
    if number == 5: raise KeyError("no")
    return Of(header=Of(height_px=1, width_px=1), pixels=np.zeros((1, 1 + (number == 6), 3)))
script.decode_image = bad
typer.run(script.main)
"""


@pytest.mark.long
def test_the_toll_counts_crashes_hangs_and_foreign_exceptions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failing side of the first test: a decoder that aborts, sleeps, raises and lies."""
    (tmp_path / "bad.py").write_text(_BAD)
    monkeypatch.setattr(script, "LIMIT_S", 5.0)
    monkeypatch.setattr(script, "COMMAND", [sys.executable, str(tmp_path / "bad.py")])
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    toll = take_toll(8)
    assert (toll.files, toll.read) == (8, 4)
    assert toll.crashes == {1: "ended with -6"}
    assert toll.hangs == {3: "hang"}
    assert toll.foreign == {5: "KeyError('no')", 6: "pixels (1, 2, 3), not (1, 1, 3)"}
    assert not toll.right


def test_reasons_are_counted_by_their_kind() -> None:
    assert outcome(PNG) == {"outcome": "read"}
    assert outcome(PNG[:-9]) == {
        "outcome": "refused",
        "reason": "truncated: the end of the picture is missing",
    }
    assert kind_of("x: 3x40 px is too large: the limit is 5; reduce it. Expected a b") == (
        "NxN px is too large: the limit is N"
    )
