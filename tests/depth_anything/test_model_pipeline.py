"""A pipeline by a model's name: it, or an error; programs are made once and kept."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import depth_anything
from compile import on_demand, weights
from compile.errors import TargetError
from depth.errors import CheckpointError, DownloadError, InputError
from depth_anything import DepthPipeline
from serve.shapes import BUCKETS
from tests.support.fresh_python import run_python
from tests.support.hostile import encoded, picture
from tests.support.programs import make_artifact

PNG = encoded(picture(56, 70), "PNG")


@pytest.fixture(autouse=True)
def without_a_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refused(*_: Any, **__: Any) -> Path:
        raise DownloadError("there is no network")

    monkeypatch.setattr(weights, "fetch", refused)
    monkeypatch.setattr(
        weights, "find", lambda model, _folder: {"demo": weights.BUNDLED}.get(model.name)
    )
    monkeypatch.chdir(tmp_path)


@pytest.fixture(name="builds")
def builds_fixture(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The command lines of the builds that were begun."""
    found: list[list[str]] = []
    real = on_demand.run_until

    def counted(stopped: Any, command: Any, environment: Any) -> tuple[int, str]:
        found.append(list(command))
        return real(stopped, command, environment)

    monkeypatch.setattr(on_demand, "run_until", counted)
    return found


def test_a_named_model_is_that_model_or_an_error() -> None:
    with pytest.raises(CheckpointError, match="no weights for vits: there is no network"):
        DepthPipeline("vits")
    with pytest.raises(InputError, match="vitz"):
        DepthPipeline("vitz")
    with pytest.raises(CheckpointError, match=r"none.pth: no such file"):
        DepthPipeline("vits", checkpoint="none.pth")


def test_without_a_name_the_bundled_model_stands_in_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING), DepthPipeline() as pipeline:
        assert "the bundled demo model runs instead" in pipeline.stage.remark
    assert pipeline.stage.remark in caplog.messages
    with DepthPipeline("demo") as named:
        assert named.stage.remark == ""
        with pytest.raises(InputError, match="no program is made yet: name the"):
            named.warm_up()


def test_options_of_a_model_are_refused_with_an_artifact(tmp_path: Path) -> None:
    folder = make_artifact(tmp_path).folder
    for options in ({"checkpoint": "a.pth"}, {"input_size": 98}, {"precision": "bf16"}):
        with pytest.raises(InputError, match="an artifact; it has weights, target and precision"):
            DepthPipeline(folder, **options)
    with pytest.raises(TargetError, match="'inf1' runs on its device only"):
        DepthPipeline("demo", target="inf1")
    with DepthPipeline(folder, policy=BUCKETS) as pipeline:
        assert pipeline(PNG).depth.values.shape == (56, 70)


def test_the_door_loads_its_pipeline_on_use() -> None:
    code = "import depth_anything, sys; print('serve' in sys.modules, 'compile' in sys.modules)"
    assert run_python("-c", code).stdout == "False False\n"
    with pytest.raises(AttributeError, match="no attribute 'Pipeline'"):
        getattr(depth_anything, "Pipeline")  # noqa: B009 - a module's type lacks it


@pytest.mark.long
def test_a_program_is_made_when_first_needed_and_found_again(builds: list[list[str]]) -> None:
    with DepthPipeline("demo", input_size=56) as pipeline:
        first = pipeline(PNG)
        again, lying = pipeline([PNG, encoded(picture(70, 56), "PNG")])
    assert [len(builds), first.provenance.model] == [2, "demo"]
    assert lying.depth.values.shape == (70, 56)
    with DepthPipeline("demo", input_size=56) as pipeline:
        found = pipeline(PNG)
    assert len(builds) == 2
    for each in (again, found):
        assert np.array_equal(each.depth.values, first.depth.values)
        assert each.provenance == first.provenance


@pytest.mark.long
def test_a_stand_in_says_so_in_every_result(builds: list[list[str]]) -> None:
    with DepthPipeline(input_size=56) as pipeline:
        source = pipeline(PNG).source
    (note,) = source["notes"]
    assert note == pipeline.stage.remark
    assert source["stand_in"] == "demo"
    assert len(builds) == 1
