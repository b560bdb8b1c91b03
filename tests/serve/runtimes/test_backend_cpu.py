"""Streams that share a CPU: one copy of each program, few programs, no way to break them."""

from __future__ import annotations

import gc
import random
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

from depth.artifact.program import ProgramKey
from depth.errors import ArtifactError
from serve.arrays import Arrays
from serve.backend import CPU_STREAMS, open_backend
from serve.engine import Engine
from serve.errors import Action, ProgramError
from serve.shapes import BUCKETS
from tests.support.engines import Programs, image_of, images_of, is_depth_of, library_of
from tests.support.schedules import WAIT_S

SIZES = [(28, 28 + 14 * i) for i in range(7)]
KEYS = [ProgramKey(*size, 1) for size in SIZES]
MOST = 4  # programs that are kept


@pytest.fixture(name="programs")
def programs_fixture(monkeypatch: pytest.MonkeyPatch) -> Programs:
    programs = Programs()
    monkeypatch.setattr("serve.backend.open_runtime", programs)
    return programs


def engine_of(*keys: ProgramKey) -> Engine:
    return Engine(library_of(keys), BUCKETS)


def test_all_streams_run_in_one_copy_at_once(programs: Programs) -> None:
    meeting = Barrier(CPU_STREAMS, timeout=WAIT_S)  # broken if fewer come
    programs.on_run = lambda _arrays: meeting.wait()
    with engine_of(KEYS[0]) as engine, ThreadPoolExecutor(4) as pool:
        many = images_of(engine, 4 * CPU_STREAMS, SIZES[0])
        found = list(pool.map(engine.run, many))
    assert all(is_depth_of(raw.outputs, one) for raw, one in zip(found, many))
    assert (programs.opened, programs.streams) == ([SIZES[0]], CPU_STREAMS)


def test_a_single_image_has_the_whole_cpu(programs: Programs) -> None:
    with engine_of(KEYS[0]) as engine:
        result = engine.result(image_of(engine, SIZES[0]).source)
    assert result.depth.values.shape == SIZES[0]
    assert programs.streams == 1


def test_the_program_that_was_used_longest_ago_makes_room(programs: Programs) -> None:
    with engine_of(*KEYS) as engine:
        for index in (0, 1, 2, 3, 0, 4):
            one = image_of(engine, SIZES[index], seed=index)
            assert is_depth_of(engine.run(one).outputs, one)
        gc.collect()
        assert programs.sizes == {SIZES[index] for index in (2, 3, 0, 4)}
        again = image_of(engine, SIZES[1])
        assert is_depth_of(engine.run(again).outputs, again)
        assert programs.opened == [SIZES[index] for index in (0, 1, 2, 3, 4, 1)]


def test_however_many_sizes_come_few_programs_are_in_memory(programs: Programs) -> None:
    indices = random.Random(0).choices(range(len(SIZES)), k=200)
    with engine_of(*KEYS) as engine, ThreadPoolExecutor(8) as pool:
        many = {index: image_of(engine, SIZES[index]) for index in set(indices)}
        found = pool.map(lambda index: engine.run(many[index]), indices)
        assert all(is_depth_of(raw.outputs, many[i]) for raw, i in zip(found, indices))
    assert MOST <= programs.most_alive <= MOST + CPU_STREAMS  # these still ran


def test_closing_gives_the_memory_back(programs: Programs) -> None:
    with engine_of(*KEYS) as engine:
        for one in images_of(engine, 3, *SIZES[:3]):
            engine.run(one)
        assert len(programs.alive) == 3
    gc.collect()
    assert len(programs.alive) == 0


ERRORS = [
    ProgramError("OpenVINO failed: out of memory"),
    ProgramError("the same, from a runtime that says what it means", Action.REQUEST_FAULT),
    MemoryError("Unable to allocate 7.6 GiB"),
    KeyError("a bug"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_failing_run_fails_its_image_only(programs: Programs, error: Exception) -> None:
    def fail_at(arrays: Arrays) -> None:
        if np.array_equal(arrays["images"][0], bad.arrays["images"]):
            raise error

    programs.on_run = fail_at
    with engine_of(KEYS[0]) as engine:
        bad, good = images_of(engine, 2, SIZES[0])
        for _ in range(20):  # a core of a chip would be out of service after a few
            with pytest.raises(ProgramError, match=str(error.args[0])) as told:
                engine.run(bad)
            assert "tried" not in str(told.value)
        assert is_depth_of(engine.run(good).outputs, good)


def test_a_bug_is_named_and_logged(programs: Programs, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_arrays: Arrays) -> None:
        raise KeyError("a bug")

    programs.on_run = fail
    says = "unexpected KeyError: 'a bug'"
    with engine_of(KEYS[0]) as engine, pytest.raises(ProgramError, match=says):
        engine.run(image_of(engine, SIZES[0]))
    (record,) = [record for record in caplog.records if record.exc_info]
    assert isinstance(record.exc_info[1], KeyError)


def test_a_program_that_cannot_be_loaded_fails_its_images_only(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(artifact: object, stages: list[object], streams: int) -> object:
        if stages[0].size == SIZES[1]:
            raise ArtifactError("sha256 differs; compile or copy the artifact again")
        return programs(artifact, stages, streams)

    monkeypatch.setattr("serve.backend.open_runtime", opened)
    with engine_of(*KEYS) as engine:
        for index in (0, 1, 2, 1, 3, 1, 0, 1, 2, 3):
            one = image_of(engine, SIZES[index])
            if index == 1:
                with pytest.raises(ProgramError, match="^sha256 differs; compile or copy"):
                    engine.run(one)
            else:
                assert is_depth_of(engine.run(one).outputs, one)
    # What failed to load pushes out no more than it would have needed.
    assert len(programs.opened) == 3


@pytest.mark.usefixtures("programs")
def test_a_program_that_is_loaded_again_in_vain_fails_its_images_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with engine_of(*KEYS) as engine:
        many = images_of(engine, 6, *SIZES[:6])
        for one in many[:5]:
            engine.run(one)

        def gone(*_: object) -> None:
            raise ArtifactError("cannot be read; compile again")

        monkeypatch.setattr("serve.backend.open_runtime", gone)
        for _ in range(20):
            with pytest.raises(ProgramError, match="^cannot be read; compile again"):
                engine.run(many[0])
        assert is_depth_of(engine.run(many[4]).outputs, many[4])


def test_nothing_is_opened_before_the_first_image(programs: Programs) -> None:
    library = library_of(KEYS)
    with Engine(library, BUCKETS) as engine:
        engine.make_ready(SIZES)
        assert engine.images_at_once == 2 * CPU_STREAMS
    backend = open_backend(library, images=1000)
    assert (len(backend.workers), backend.shared) == (CPU_STREAMS, True)
    assert programs.opened == []
