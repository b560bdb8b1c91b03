"""From weights to results on NeuronCores, through the stand-in SDK of this lane: built, verified on
the device, and served where every core answers as it did there.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compile.build.build import build
from compile.build.request import Request
from compile.parity.again import reparity
from compile.parity.device import keep
from compile.preflight import check
from compile.preflight.costs import Costs
from compile.untrained import untrained_checkpoint
from depth.artifact.manifest import Artifact, read_artifact
from depth.artifact.verification import VERIFIED, answers_of, state
from depth.neuron_runtime import EXEC_TIMEOUT_S
from depth_anything_v2.config import MODELS, model_row
from serve.engine import Engine
from serve.errors import RefusedError
from serve.library import Library
from serve.shapes import BUCKETS
from tests.support.engines import image_of
from tests.support.models import TINY
from tests.support.neuron_machine import machine_fixture
from tests.support.neuron_served import LANE, SIZE, Chip, chip_fixture
from tests.support.neuron_standin import pretend

pytestmark = pytest.mark.long  # processes and whole builds

__all__ = ["chip_fixture", "machine_fixture"]
MODEL = model_row(TINY.name, TINY)


@pytest.fixture(name="built", scope="module", params=[False, True], ids=["fused", "split"])
def built_fixture(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Artifact:
    """Compiled on a machine without a chip."""
    folder = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEURON_PLATFORM_TARGET_OVERRIDE", "inf2")
        # It counts the work of every pass again for every program, and takes most of the time.
        patch.setattr(check, "costs", lambda network, passes: Costs(1, ()))  # noqa: ARG005
        asked = Request(
            MODEL,
            untrained_checkpoint(MODEL),
            LANE.target,
            "matmult-fp16",
            [SIZE],
            split=request.param,
            settings=pretend(folder, patch, LANE.packages).settings,
        )
        return read_artifact(build(asked, folder / "out"))


def test_cores_that_repeat_the_probes_serve_a_verified_artifact(
    chip: Chip, built: Artifact
) -> None:
    with pytest.raises(RefusedError, match="--allow-unverified"):
        Library([built])
    chip.monkeypatch.setitem(MODELS, MODEL.name, MODEL)
    keep(built, reparity(built, None, [], lambda _: None, probe=True))
    assert chip.events("start") == [str(EXEC_TIMEOUT_S)]
    # The command takes one core, and serving is another process.
    chip.monkeypatch.delenv("NEURON_RT_NUM_CORES", raising=False)
    assert state(built) == VERIFIED
    assert all(answers_of(built, program.name) for program in built.manifest.programs)
    last = LANE.cores - 1
    chip.script("wrong_cores", f"{last} 1.1")
    with Engine(Library([built]), BUCKETS) as engine:
        assert engine.make_ready([SIZE])
        assert engine._cores._opened.scheduler.snapshot().cores_in_service == LANE.cores - 1
        result = engine.result(image_of(engine, SIZE).source)
    assert np.isfinite(result.depth.values).all()
    assert result.provenance.artifact == built.identity
    (Path(built.folder) / "verified.json").unlink()
