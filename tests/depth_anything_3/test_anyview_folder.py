"""A folder as upstream's `save_pretrained` writes it, with a config.json that nobody trusts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file
from torch import Tensor

from depth.errors import CheckpointError, InputError
from depth.weights.registry import PublishedFile
from depth_anything_3.anyview import folder as folder_module
from depth_anything_3.anyview.config import NESTED_MODELS
from depth_anything_3.anyview.folder import AnyView, built, from_folder, model_name
from depth_anything_3.anyview.network import build
from depth_anything_3.mono.network import MonoNetwork
from tests.support import da3
from tests.support.da3_views import TINY_MODEL, nested_state, same, to_upstream, weights

UPSTREAM_CONFIG: dict[str, Any] = {
    "model_name": "da3-small",
    "config": {
        "__object__": {
            "path": "depth_anything_3.model.da3",
            "name": "DepthAnything3Net",
            "args": "as_params",
        },
        "net": {
            "__object__": {"path": "depth_anything_3.model.dinov2.dinov2", "name": "DinoV2"},
            "out_layers": [5, 7, 9, 11],
        },
    },
}


def written(folder: Path, config: Any, state: dict[str, Tensor]) -> Path:
    (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    save_file({key: value.clone() for key, value in state.items()}, folder / "model.safetensors")
    return folder


def tiny(name: str) -> AnyView:
    metric = MonoNetwork(da3.TINY_METRIC).eval() if name in NESTED_MODELS else None
    return AnyView(name, build(TINY_MODEL).eval(), metric)


def test_a_folder_as_upstream_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "built", tiny)
    found = from_folder(written(tmp_path, UPSTREAM_CONFIG, to_upstream(weights())))
    assert (found.name, found.metric) == ("da3-small", None)
    same(found.network)
    nested = from_folder(written(tmp_path, {"model_name": [*NESTED_MODELS][0]}, nested_state()))
    assert nested.metric is not None
    same(nested.network)


def test_a_file_that_is_published_as_another_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "built", tiny)
    row = PublishedFile("da3-base", "a/b", "model.safetensors", "main", "0" * 64, None, "x")
    monkeypatch.setattr(folder_module, "by_sha256", lambda _: row)
    with pytest.raises(CheckpointError, match="is published as da3-base, not as da3-small"):
        from_folder(written(tmp_path, UPSTREAM_CONFIG, to_upstream(weights())))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("os", "system"),
        ("depth_anything_3.model.da3", "system"),
        ("depth_anything_3.utils.export", "DepthAnything3Net"),
        (["depth_anything_3.model.da3"], "DepthAnything3Net"),
        ("depth_anything_3.model.da3", ["DepthAnything3Net"]),
    ],
)
def test_a_class_that_is_not_upstreams_is_refused(path: Any, name: Any, tmp_path: Path) -> None:
    config = json.loads(json.dumps(UPSTREAM_CONFIG))
    config["config"]["net"]["heads"] = [{"__object__": {"path": path, "name": name}}]
    place = tmp_path / "config.json"
    place.write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="classes are never loaded from a file"):
        model_name(place)


def test_nothing_that_a_config_names_is_imported(tmp_path: Path) -> None:
    place = tmp_path / "config.json"
    place.write_text(json.dumps(UPSTREAM_CONFIG))
    assert model_name(place) == "da3-small"
    assert "depth_anything_3.model" not in sys.modules


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a readable config.json"),
        ("[]", "not a readable config.json"),
        ('{"model_name": "da3-small", "model_name": "da3-base"}', "not a readable config.json"),
        ("{}", "model_name is None, expected a text"),
        ('{"model_name": 3}', "model_name is 3, expected a text"),
        ('{"model_name": "a", "config": {"__object__": "os.system"}}', "names 'os.system'"),
    ],
)
def test_a_damaged_config_is_refused(text: str, said: str, tmp_path: Path) -> None:
    place = tmp_path / "config.json"
    place.write_text(text)
    with pytest.raises(CheckpointError, match=said):
        model_name(place)


def test_models_of_one_view_are_not_built_here(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no model 'da3mono-large' of several views; choose from"):
        built("da3mono-large")
    with pytest.raises(CheckpointError, match="not a readable config.json"):
        from_folder(tmp_path)
    (tmp_path / "config.json").write_text('{"model_name": "da3-tiny"}')
    with pytest.raises(InputError, match="no model 'da3-tiny'"):
        from_folder(tmp_path)
