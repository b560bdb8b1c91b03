"""Weights files: what is read, and that nothing in them ever runs."""

from __future__ import annotations

import hashlib
import pickle
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable

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


@pytest.mark.parametrize(
    "wrapped",
    [
        STATE,
        {"model": STATE, "epoch": 3},
        {f"module.{key}": value for key, value in STATE.items()},
        {"model": {f"module.{key}": value for key, value in STATE.items()}},
    ],
    ids=["plain", "model", "module", "model and module"],
)
def test_pth_zip(tmp_path: Path, wrapped: dict[str, Any]) -> None:
    assert same(read_checkpoint(saved(tmp_path / "model.pth", wrapped)).state)


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
    ],
    ids=["tensor", "list", "empty", "number", "dict", "number as key"],
)
def test_other_objects_than_a_state_dict_are_refused(tmp_path: Path, what: Any, text: str) -> None:
    assert text in refusal(saved(tmp_path / "other.pth", what))
