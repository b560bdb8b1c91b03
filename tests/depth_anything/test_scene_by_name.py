"""A pipeline of scenes by a model's name: programs are made for the views that are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import depth_anything
from compile.untrained import untrained_checkpoint
from depth.errors import InputError
from depth_anything import DepthPipeline, SceneAsked, ScenePipeline
from depth_anything_3 import config
from serve.errors import NoProgramError
from tests.support.da3_views import TINY_MODEL
from tests.support.on_demand import compile_in_this_process
from tests.support.places import ROOT

ASKED = SceneAsked(process_res=84)
PHOTOS = [np.full((80, 120, 3), level, np.uint8) for level in (40, 90)]


@pytest.fixture(scope="module")
def patched() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(config.MODELS, TINY_MODEL.name, TINY_MODEL)
        compile_in_this_process(patch)
        yield patch


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.pth"
    torch.save(untrained_checkpoint(TINY_MODEL).state, path)
    return path


@pytest.mark.usefixtures("patched")
def test_programs_are_made_once_for_a_number_of_views(weights: Path, tmp_path: Path) -> None:
    def pipeline() -> ScenePipeline:
        return ScenePipeline(
            TINY_MODEL.name,
            checkpoint=weights,
            target="torchscript",
            folder=tmp_path,
            calibration=ROOT / "none",
        )

    with pipeline() as first:
        scene = first(PHOTOS, ASKED)
        assert first(PHOTOS[:1], ASKED).depth.shape == (1, 56, 84)
    made = sorted(tmp_path.iterdir())
    assert len(made) == 2
    with pipeline() as second:  # another process would do the same
        again = second(PHOTOS, ASKED)
    assert sorted(tmp_path.iterdir()) == made, "nothing is built again"
    assert np.allclose(scene.depth, again.depth, rtol=1e-5)
    assert scene.provenance == again.provenance
    assert scene.provenance.model == TINY_MODEL.name
    with ScenePipeline(made, policy="buckets") as served:
        assert sorted(views for _, views in served.engine.library.there) == [1, 2]
        with pytest.raises(NoProgramError, match="--views 3"):
            served([*PHOTOS, PHOTOS[0]], ASKED)


@pytest.mark.usefixtures("patched")
def test_models_of_scenes_and_of_images_have_pipelines_of_their_own(weights: Path) -> None:
    with pytest.raises(InputError, match="vits: a model of single images; take DepthPipeline"):
        ScenePipeline("vits")
    with pytest.raises(InputError, match="tiny-views: a model of scenes .* take ScenePipeline"):
        DepthPipeline(TINY_MODEL.name, checkpoint=weights)
    with pytest.raises(InputError, match="no model 'da3'"):
        ScenePipeline("da3")
    with pytest.raises(InputError, match="an artifact; it has weights, target and precision"):
        ScenePipeline(ROOT, target="onnx")
    assert {"ScenePipeline", "SceneAsked"} <= set(depth_anything.__all__)
