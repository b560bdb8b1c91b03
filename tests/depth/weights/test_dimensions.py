"""What a file of weights says of its network before it is read."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from depth.weights import dimensions as dimensions_module
from depth.weights.dimensions import dimensions
from tests.support.models import TINY, weights

EXPECTED = TINY.embed_dim, TINY.depth
THEIRS = {
    "encoder.position.": "backbone.embeddings.",
    "pos_embed": "position_embeddings",
    "encoder.blocks.": "backbone.encoder.layer.",
}


def upstream() -> dict[str, Tensor]:
    return {
        key.replace("encoder.position.", "encoder.").replace("encoder.", "pretrained."): value
        for key, value in weights(TINY).items()
    }


def transformers() -> dict[str, Tensor]:
    found = {}
    for key, value in weights(TINY).items():
        for ours, name in THEIRS.items():
            key = key.replace(ours, name)
        found[key] = value
    return found


@pytest.mark.parametrize("layout", [lambda: weights(TINY), upstream, transformers])
@pytest.mark.parametrize("wrapped", [False, True])
def test_every_layout_and_format_says_its_dimensions(
    tmp_path: Path, layout: object, wrapped: bool
) -> None:
    state = layout()  # type: ignore[operator]
    path = tmp_path / "weights.pth"
    torch.save({"epoch": 3, "model": state, "size": (7, 8, 9)} if wrapped else state, path)
    assert dimensions(path) == EXPECTED
    path = tmp_path / "weights.safetensors"
    save_file(state, path)
    assert dimensions(path) == EXPECTED


def test_a_file_without_blocks_or_embedding_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    for part in ("pos_embed", "blocks"):
        save_file({name: value for name, value in weights(TINY).items() if part not in name}, path)
        assert dimensions(path) is None
    torch.save({"encoder.blocks.0.x": torch.zeros(1)}, tmp_path / "weights.pth")
    assert dimensions(tmp_path / "weights.pth") is None


def archive(path: Path, data: bytes) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", data)


class _Evil:
    def __reduce__(self) -> object:
        return os.mkdir, ("planted",)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no weights",
        b"\xff" * 40,
        (9).to_bytes(8, "little") + b"[1, 2, 3]",
        (21).to_bytes(8, "little") + b'{"a.pos_embed": "123"}',
        (30).to_bytes(8, "little") + b'{"pos_embed": {"shape": "123"}}',
        (2).to_bytes(8, "little") + b"{}",
    ],
)
def test_other_bytes_say_nothing(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    assert dimensions(path) is None
    archive(path, data)
    assert dimensions(path) is None


def test_nothing_in_a_pickle_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    archive(tmp_path / "x.pth", pickle.dumps(_Evil()))
    assert dimensions(tmp_path / "x.pth") is None
    assert not (tmp_path / "planted").exists()


def test_no_more_than_a_list_of_names_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(weights(TINY), tmp_path / "weights.pth")
    save_file(weights(TINY), tmp_path / "weights.safetensors")
    monkeypatch.setattr(dimensions_module, "_MAX_BYTES", 100)
    assert dimensions(tmp_path / "weights.pth") is None
    assert dimensions(tmp_path / "weights.safetensors") is None


def test_what_is_no_regular_file_says_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    assert dimensions(tmp_path / "pipe.pth") is None
    assert dimensions(tmp_path) is None
    assert dimensions(tmp_path / "none.pth") is None
