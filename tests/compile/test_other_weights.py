"""Weights of another model: refused before any work begins."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import save_file

from compile.untrained import untrained_checkpoint
from compile.weights import choose, read
from depth.errors import CheckpointError
from depth_anything_v2.config import MODELS, model_row
from tests.support.models import DEMO, TINY

VITS = MODELS["vits"]


@pytest.mark.parametrize("own_name", [True, False])
def test_weights_of_other_dimensions_are_refused_before_torch_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_name: bool
) -> None:
    path = tmp_path / ("vits.safetensors" if own_name else "mine.safetensors")
    save_file(untrained_checkpoint(DEMO).state, path)
    monkeypatch.setattr("depth.weights.checkpoint.read_checkpoint", None)
    text = "weights of 6 blocks of width 192, vits has 12 of 384; give --model demo"
    with pytest.raises(CheckpointError, match=f"{path.name}: {text}$"):
        choose(VITS, None if own_name else path, tmp_path)
    with pytest.raises(CheckpointError, match=f"{path.name}: {text}$"):
        read(VITS, str(path))


def test_every_model_of_the_files_dimensions_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_file(untrained_checkpoint(VITS).state, path)
    names = "vits, or vits-metric-indoor, vits-metric-outdoor, v1-vits"
    with pytest.raises(CheckpointError, match=f"demo has 6 of 192; give --model {names}$"):
        choose(DEMO, path)


def test_dimensions_of_no_model_are_refused_without_advice(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_file(untrained_checkpoint(model_row("tiny", TINY)).state, path)
    with pytest.raises(CheckpointError, match=r"demo has 6 of 192$"):
        choose(DEMO, path)
