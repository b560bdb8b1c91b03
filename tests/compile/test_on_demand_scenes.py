"""Programs of scenes that are built when they are first needed, and kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import save_file

from compile.on_demand import Cache
from compile.untrained import untrained_checkpoint
from compile.weights import Weights
from depth.artifact.anchor import IDENTITY_DIGITS
from depth.artifact.manifest import Artifact
from depth.sizes import Size
from depth_anything.scene_pipeline import _build
from depth_anything_3 import config
from tests.support.da3_views import SIZE, TINY_MODEL
from tests.support.on_demand import compile_in_this_process


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    monkeypatch.setitem(config.MODELS, TINY_MODEL.name, TINY_MODEL)
    compile_in_this_process(monkeypatch)
    file = tmp_path / f"{TINY_MODEL.name}.safetensors"
    save_file(untrained_checkpoint(TINY_MODEL).state, file)
    weights = Weights(TINY_MODEL.name, file)
    return Cache(tmp_path / "artifacts", weights, "torchscript", "fp32", tmp_path / "none")


def scenes(cache: Cache, size: Size, views: int, rays: bool = False) -> list[Artifact]:
    return list(_build(cache, size, views, rays))


def test_scenes_are_built_once_for_each_number_of_views(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    (two,) = scenes(cache, SIZE, 2)
    assert (two.manifest.views.least, two.manifest.views.most) == (2, 2)
    (with_rays,) = scenes(cache, SIZE, 1, rays=True)
    assert "head_rays" in with_rays.manifest.runs

    def built(*_: object) -> tuple[int, str]:
        raise AssertionError("built again")

    monkeypatch.setattr("compile.on_demand.run_until", built)
    (again,) = scenes(cache, SIZE, 2)
    assert again.identity[:IDENTITY_DIGITS] == two.identity[:IDENTITY_DIGITS]
    (alone,) = scenes(cache, SIZE, 1)
    assert alone.identity == with_rays.identity  # rays are there, and nobody has to ask for them
    for views, rays in ((3, False), (2, True)):
        with pytest.raises(AssertionError, match="built again"):
            scenes(cache, SIZE, views, rays)
