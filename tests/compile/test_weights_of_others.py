"""Which model's weights a file has: refused or remarked if it is another's, without a network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import save_file

from compile.untrained import untrained_checkpoint
from compile.weights import choose, read
from depth.errors import CheckpointError
from depth.files import sha256_file
from depth.weights.registry import published_files
from depth_anything_v2.config import MODELS, model_row
from tests.support.models import DEMO, TINY

VITS, METRIC = MODELS["vits"], MODELS["vits-metric-indoor"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "checkpoints"
    made.mkdir()
    return made


def test_weights_that_are_published_as_another_model_s_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = folder / "mine.safetensors"
    save_file(untrained_checkpoint(DEMO, seed=4).state, file)
    row = replace(published_files()["vits"], model="demo", sha256=sha256_file(file))
    known = {sha256_file(file): row}
    monkeypatch.setattr("compile.weights.by_sha256", known.get)
    assert read(DEMO, str(file)).name == "mine.safetensors"
    with pytest.raises(CheckpointError, match="is published as demo, not as vits-metric-indoor"):
        read(METRIC, str(file))


def test_a_file_of_any_family_is_known_by_its_bytes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = folder / "model.safetensors"
    save_file(untrained_checkpoint(DEMO, seed=4).state, file)
    for row in (published_files()["v1-vits"], published_files()["da3mono-large"]):
        monkeypatch.setattr("compile.weights.by_sha256", lambda _, row=row: row)
        with pytest.raises(CheckpointError, match=f"is published as {row.model}, not as vits"):
            read(VITS, str(file))


def test_an_unknown_file_that_fits_several_models_is_used_as_the_named_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    named, other = model_row("tiny", TINY), model_row("tiny-metric", TINY, 20.0)
    monkeypatch.setitem(MODELS, "tiny", named)
    monkeypatch.setitem(MODELS, "tiny-metric", other)
    path = folder / "mine.safetensors"
    save_file(untrained_checkpoint(named).state, path)
    read(named, str(path))
    (record,) = caplog.records
    assert record.message == (
        f"{path} is no published file; it is used as tiny, and would fit tiny-metric as well"
    )


def test_the_bundled_model_and_fixed_seed_weights_need_no_word(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read(DEMO, None, folder)
    read(DEMO, "untrained", folder)
    assert not caplog.records


def test_a_file_with_a_published_name_and_other_bytes_is_remarked(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "depth_anything_v2_vits.pth"
    path.write_bytes(b"other")
    for given in (None, path):
        assert choose(VITS, given, folder).file == path
        assert caplog.messages == [f"{path}: not the published file of this name"]
        caplog.clear()
    mine = folder / "mine.pth"
    mine.write_bytes(b"other")
    choose(VITS, mine)
    right = replace(published_files()["vits"], size_bytes=5, sha256=sha256_file(path))
    monkeypatch.setattr("compile.weights.known_files", lambda: (right,))
    choose(VITS, path)
    assert caplog.messages == []
    path.write_bytes(b"OTHER")
    choose(VITS, path)
    assert caplog.messages == [f"{path}: not the published file of this name"], "of the right size"


@pytest.mark.parametrize("own_name", [True, False])
def test_weights_of_other_dimensions_are_refused_before_torch_is_needed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, own_name: bool
) -> None:
    path = folder / ("vits.safetensors" if own_name else "mine.safetensors")
    save_file(untrained_checkpoint(DEMO).state, path)
    monkeypatch.setattr("depth.weights.checkpoint.read_checkpoint", None)
    text = "weights of 6 blocks of width 192, vits has 12 of 384; give --model demo"
    with pytest.raises(CheckpointError, match=f"{path.name}: {text}$"):
        choose(VITS, None if own_name else path, folder)
    with pytest.raises(CheckpointError, match=f"{path.name}: {text}$"):
        read(VITS, str(path))


def test_every_model_of_the_files_dimensions_is_named(folder: Path) -> None:
    path = folder / "mine.safetensors"
    save_file(untrained_checkpoint(VITS).state, path)
    names = "vits, or vits-metric-indoor, vits-metric-outdoor, v1-vits, da3-small"
    with pytest.raises(CheckpointError, match=f"demo has 6 of 192; give --model {names}$"):
        choose(DEMO, path)


def test_dimensions_of_no_model_are_refused_without_advice(folder: Path) -> None:
    path = folder / "mine.safetensors"
    save_file(untrained_checkpoint(model_row("tiny", TINY)).state, path)
    with pytest.raises(CheckpointError, match=r"demo has 6 of 192$"):
        choose(DEMO, path)
