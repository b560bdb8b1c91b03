"""Weights files: what is read, and that nothing in them ever runs."""

from __future__ import annotations

import hashlib
import pickle
import re
import warnings
import zipfile
from argparse import Namespace
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from depth.errors import CheckpointError
from depth.weights.checkpoint import read_checkpoint

STATE = {"encoder.a": torch.arange(6.0).reshape(2, 3), "decoder.b": torch.ones(1)}


def same(found: dict[str, Tensor]) -> bool:
    return found.keys() == STATE.keys() and all(torch.equal(found[k], v) for k, v in STATE.items())


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def saved(path: Path, what: Any, **options: Any) -> Path:
    torch.save(what, path, **options)
    return path


def test_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file(STATE, path)
    found = read_checkpoint(path)
    assert same(found.state)
    assert found.name == "model.safetensors"
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.licence == "unknown"


OTHER = {"encoder.a": torch.zeros(1)}


@pytest.mark.parametrize(
    ("wrapped", "where"),
    [
        (STATE, ""),
        ({"model": STATE, "epoch": 3}, '["model"]'),
        ({"state_dict": STATE, "epoch": 3}, '["state_dict"]'),
        ({"model_state_dict": STATE, "loss": torch.ones(1)}, '["model_state_dict"]'),
        ({"ema": OTHER, "model": STATE}, '["model"]'),
        ({"ema": STATE, "optimizer": {"steps": 1}}, '["ema"]'),
        ({"model": {"state_dict": STATE}}, '["model"]["state_dict"]'),
    ],
    ids=lambda value: value or "plain" if isinstance(value, str) else "",
)
def test_pth_zip(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, wrapped: dict[str, Any], where: str
) -> None:
    path = saved(tmp_path / "model.pth", wrapped)
    assert same(read_checkpoint(path).state)
    said = [f"{path}: the weights are its entry {where}"] if where else []
    assert [record.message for record in caplog.records] == said


def test_the_bytes_and_not_the_name_tell_the_format(tmp_path: Path) -> None:
    for name in ("model.pth", "model.SAFETENSORS", "model"):
        save_file(STATE, tmp_path / name)
        assert same(read_checkpoint(tmp_path / name).state)
    assert same(read_checkpoint(saved(tmp_path / "model.safetensors", STATE)).state)


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer, not"),
        (b"\n<!DOCTYPE html>\n<html>", "an HTML page, not weights"),
        (b"<html lang=en>", "an HTML page, not weights"),
    ],
)
def test_text_in_place_of_weights_is_called_what_it_is(
    tmp_path: Path, name: str, data: bytes, text: str
) -> None:
    (tmp_path / name).write_bytes(data)
    assert text in refusal(tmp_path / name)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (np.float64(0.9), r"numpy\.(_core|core)\.multiarray\.scalar"),
        (Namespace(a=1), r"argparse\.Namespace"),
    ],
    ids=["numpy", "argparse"],
)
def test_a_refusal_names_what_is_in_the_way_and_the_remedy(
    tmp_path: Path, value: object, name: str
) -> None:
    text = refusal(saved(tmp_path / "w.pth", {"model": STATE, "best": value}))
    assert re.search(rf"and it has {name}\. If you trust the file", text)
    assert (
        """torch.save(torch.load('w.pth', "cpu", weights_only=False)["model"], "plain.pth")"""
        in text
    )
    assert "\x1b" not in text
    assert "two options" not in text


@pytest.mark.parametrize("inside", ["data/0", "data.pkl"])
def test_a_file_that_would_become_much_larger_is_refused(tmp_path: Path, inside: str) -> None:
    whole, path = saved(tmp_path / "a.pth", STATE), tmp_path / "bomb.pth"
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as target:
        for info in source.infolist():
            big = info.filename.endswith(inside)
            data = source.read(info) + bytes(10**6 if big else 0)
            target.writestr(info.filename, data, zipfile.ZIP_DEFLATED if big else None)
    assert re.search(r"refused: [\d,]+ bytes that would become 1,00[\d,]+;", refusal(path))


def test_a_compressed_file_is_read(tmp_path: Path) -> None:
    state = {"encoder.a": torch.randn(5000), "decoder.b": torch.ones(1)}
    whole, path = saved(tmp_path / "a.pth", state), tmp_path / "deflated.pth"
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as target:
        for info in source.infolist():
            target.writestr(info.filename, source.read(info), zipfile.ZIP_DEFLATED)
    assert torch.equal(read_checkpoint(path).state["encoder.a"], state["encoder.a"])


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    assert "no such file; `make checkpoints MODEL=...`" in refusal(tmp_path / "nothing.pth")
    assert "no such file" in refusal(tmp_path)


class Payload:
    """Unpickled by an unsafe reader, it writes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_a_payload_is_refused_and_does_not_run(tmp_path: Path, legacy: bool) -> None:
    marker = tmp_path / "ran"
    state = {**STATE, "payload": Payload(marker)}
    path = saved(tmp_path / "bad.pth", state, _use_new_zipfile_serialization=not legacy)
    text = refusal(path)
    assert ("only plain tensors are read" in text) != legacy
    assert not marker.exists()
    # The payload is a live one: an unsafe reader runs it.
    pickle.loads(pickle.dumps(Payload(marker)))
    assert marker.exists()


def test_a_bare_pickle_is_refused_and_does_not_run(tmp_path: Path) -> None:
    path = tmp_path / "bare.pth"
    path.write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    assert "not a PyTorch ZIP checkpoint" in refusal(path)
    assert not (tmp_path / "ran").exists()


def test_the_format_from_before_torch_1_6_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "old.pth", STATE, _use_new_zipfile_serialization=False)
    assert "from before torch 1.6); download it again or save it again" in refusal(path)


def test_a_program_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "program.pth"
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))
    assert "a TorchScript program, expected a state dict" in refusal(path)


def test_another_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "zip.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "refused or damaged" in refusal(path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_file_cut_short_is_refused(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"cut.{suffix}"
    if suffix == "pth":
        torch.save(STATE, path)
    else:
        save_file(STATE, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert "not a" in refusal(path)


def altered(whole: Path, alter: Callable[[bytes], bytes]) -> Path:
    """A copy with another pickle inside."""
    path = whole.with_name("damaged.pth")
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as target:
        for info in source.infolist():
            data = source.read(info)
            pickled = info.filename.endswith("data.pkl")
            target.writestr(info.filename, alter(data) if pickled else data)
    return path


@pytest.mark.parametrize("position", range(0, 200, 8))
def test_a_damaged_pickle_is_no_error_but_ours(tmp_path: Path, position: int) -> None:
    def alter(data: bytes) -> bytes:
        changed = bytearray(data)
        changed[position % len(data)] ^= 0x15
        return bytes(changed)

    path = altered(saved(tmp_path / "whole.pth", STATE), alter)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)
        with suppress(CheckpointError):  # or none: a byte of a name may differ without harm
            read_checkpoint(path)


def test_a_pickle_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    whole = saved(tmp_path / "whole.pth", STATE)
    for length in range(2, 120):
        path = altered(whole, lambda data, length=length: data[:length])
        assert "refused or damaged" in refusal(path)


def test_a_pickle_whose_tensor_lies_in_no_tuple_is_refused(tmp_path: Path) -> None:
    def alter(data: bytes) -> bytes:
        assert b"K\x06t" in data  # six numbers, which end a tuple
        return data.replace(b"K\x06t", b"K\x06]")

    assert "refused or damaged" in refusal(altered(saved(tmp_path / "a.pth", STATE), alter))


@pytest.mark.parametrize(
    ("what", "text"),
    [
        (torch.zeros(3), "holds a Tensor, expected a state dict"),
        ([torch.zeros(3)], "holds a list, expected a state dict"),
        ({}, "holds a dict, expected a state dict"),
        ({**STATE, "epoch": 3}, "entry 'epoch' is not a tensor"),
        ({**STATE, "optimizer": {"steps": 1}}, "entry 'optimizer' is not a tensor"),
        ({**STATE, 7: torch.zeros(1)}, "entry 7 is not a tensor"),
        ({"epoch": 3, "teacher": STATE, "student": STATE}, "on its own, 'teacher' or 'student'"),
    ],
    ids=["tensor", "list", "empty", "number", "dict", "number as key", "unknown entries"],
)
def test_other_objects_than_a_state_dict_are_refused(tmp_path: Path, what: Any, text: str) -> None:
    assert text in refusal(saved(tmp_path / "other.pth", what))
