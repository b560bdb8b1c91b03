"""Which weights a command means, without a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from huggingface_hub.utils import reset_sessions
from safetensors.torch import save_file

from compile.specialise import specialise
from compile.untrained import untrained_checkpoint
from compile.weights import BUNDLED, Weights, choose, find, read, read_again
from depth.artifact.manifest import CheckpointFacts
from depth.errors import CheckpointError, InputError
from depth.family import model_named
from depth.files import sha256_file
from depth.weights.registry import published_files
from depth_anything_v2.config import MODELS
from tests.support.models import DEMO

VITS, METRIC = MODELS["vits"], MODELS["vits-metric-indoor"]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    reset_sessions()  # the hub's client keeps its sessions, and with them whether it is offline
    yield
    reset_sessions()


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project's own folder of checkpoints, seen from another working directory."""
    made = tmp_path / "project" / "checkpoints"
    made.mkdir(parents=True)
    monkeypatch.setattr("depth.weights.registry.OWN_CHECKPOINTS", made)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "checkpoints"
    made.mkdir()
    return made


def test_find_knows_the_published_name_and_plain_ones_in_this_order(folder: Path) -> None:
    assert find(METRIC, folder) is None
    for name in (
        "vits-metric-indoor.pth",
        "vits-metric-indoor.safetensors",
        "depth_anything_v2_metric_hypersim_vits.pth",
    ):
        (folder / name).touch()
        assert find(METRIC, folder) == folder / name
    assert find(VITS, folder) is None
    assert find(VITS, folder / "nothing") is None


def test_the_project_s_own_folder_is_looked_into_as_well(own: Path) -> None:
    weights = own / "depth_anything_v2_vits.pth"
    weights.write_bytes(b"weights")
    assert find(VITS) == choose(None).file == weights
    assert find(VITS, Path("other")) is None, "a folder that is named is the only place"
    here = Path("checkpoints/vits.pth")
    here.parent.mkdir()
    here.touch()
    assert find(VITS) == here, "the working directory comes first"


def test_weights_of_the_project_s_own_folder_are_read_again(own: Path) -> None:
    save_file(untrained_checkpoint(DEMO, seed=3).state, own / "mine.safetensors")
    digest = sha256_file(own / "mine.safetensors")
    assert read_again("demo", "mine.safetensors", digest).sha256 == digest


def test_weights_that_are_nowhere_leave_no_folder_and_name_whole_paths(own: Path) -> None:
    here = Path.cwd() / "checkpoints"
    with pytest.raises(CheckpointError) as caught:
        choose(VITS)
    assert f"save it as {here}/depth_anything_v2_vits.pth" in str(caught.value)
    with pytest.raises(CheckpointError) as caught:
        read(VITS, None)
    assert f"no weights for 'vits' in {here} or {own}: `make checkpoints" in str(caught.value)
    assert not here.exists()


def test_a_folder_with_the_name_of_weights_is_not_found(folder: Path) -> None:
    (folder / "vits.pth").mkdir()
    assert find(VITS, folder) is None


def test_a_given_file_is_taken_as_it_is(folder: Path) -> None:
    (folder / "mine.pth").touch()
    (folder / "vits.pth").touch()
    assert choose(VITS, folder / "mine.pth", folder) == Weights("vits", folder / "mine.pth")
    with pytest.raises(CheckpointError, match="other.pth: no such file"):
        choose(VITS, folder / "other.pth", folder)


def test_the_models_own_file_is_taken(folder: Path) -> None:
    (folder / "depth_anything_v2_vits.pth").touch()
    assert choose(VITS, None, folder) == Weights("vits", folder / "depth_anything_v2_vits.pth")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("vits", "HF_HUB_OFFLINE is set"),
        ("vitl", "--accept-licence"),
        ("vitg", "no checkpoint of it is published"),
    ],
)
def test_a_named_model_without_weights_is_refused(folder: Path, name: str, why: str) -> None:
    with pytest.raises(CheckpointError, match=f"^no weights for {name}: ") as caught:
        choose(MODELS[name], None, folder)
    assert why in str(caught.value)
    assert not list(folder.glob("*.pth"))


def test_if_no_model_is_named_the_default_runs_and_the_log_says_why(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://user:secret@127.0.0.1:9")
    chosen = choose(None, None, folder)
    assert chosen.model == "demo"
    assert chosen.remark.startswith("no weights for vits: the bundled demo model runs instead")
    assert "HF_HUB_OFFLINE is set" in caplog.text
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    reset_sessions()
    assert choose(None, None, folder) == chosen  # so that another failure makes no result again
    assert "cannot reach http://127.0.0.1:9 (Connection refused)" in caplog.text
    assert "secret" not in caplog.text + chosen.remark
    assert max(map(len, chosen.remark.splitlines())) < 120
    assert not list(folder.glob("*.pth"))
    (folder / "depth_anything_v2_vits.pth").touch()
    assert choose(None, None, folder) == Weights("vits", folder / "depth_anything_v2_vits.pth")


def test_the_default_model_needs_no_remark(folder: Path) -> None:
    assert choose(DEMO, None, folder) == Weights("demo", BUNDLED)
    (folder / "demo.safetensors").touch()
    assert choose(DEMO, None, folder) == Weights("demo", folder / "demo.safetensors")


def test_read_the_word_untrained(folder: Path) -> None:
    found = read(DEMO, "untrained", folder)
    assert (found.name, found.licence) == ("untrained", "none")
    assert found.sha256 == untrained_checkpoint(DEMO).sha256
    assert found.sha256 != untrained_checkpoint(DEMO, seed=1).sha256


def test_untrained_weights_are_the_same_on_every_machine() -> None:
    expected = "2f220d35c129a58e007d32be849374635f5cd38e2182a86afa979060d8ad02d1"
    assert untrained_checkpoint(DEMO).sha256 == expected


@pytest.mark.parametrize("seed", range(6))
def test_untrained_weights_give_depth_that_varies_and_is_nowhere_zero(seed: int) -> None:
    """Beside a depth of zero the relative error of every rounding is without limit."""
    size = (84, 112)
    network = specialise(DEMO, untrained_checkpoint(DEMO, seed), size)
    images = torch.rand((1, 3, *size), generator=torch.Generator().manual_seed(0)) * 4 - 2
    with torch.no_grad():
        depth = network(images)[0]
    assert depth.min() > 0.1
    assert depth.std() > 0.02 * depth.mean()


def test_read_a_file_by_name_or_from_the_folder(folder: Path) -> None:
    save_file(untrained_checkpoint(DEMO, seed=3).state, folder / "demo.safetensors")
    digest = sha256_file(folder / "demo.safetensors")
    assert read(DEMO, None, folder).sha256 == digest
    assert read(DEMO, str(folder / "demo.safetensors")).sha256 == digest
    assert read_again("demo", "demo.safetensors", digest, folder).sha256 == digest


def test_read_without_weights_says_every_way_to_get_some(folder: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        read(VITS, None, folder)
    for words in ("no weights for 'vits'", "make checkpoints MODEL=vits", "--checkpoint FILE"):
        assert words in str(caught.value)
    assert "--checkpoint untrained takes fixed-seed weights" in str(caught.value)
    with pytest.raises(CheckpointError, match="nothing.pth: no such file"):
        read(VITS, str(folder / "nothing.pth"))


def test_read_again_refuses_other_weights(folder: Path) -> None:
    save_file(untrained_checkpoint(DEMO, seed=3).state, folder / "demo.safetensors")
    with pytest.raises(CheckpointError, match=r"artifact was made from 0000.*with --checkpoint"):
        read_again("demo", "demo.safetensors", "0" * 64, folder)
    with pytest.raises(CheckpointError, match="no such file"):
        read_again("demo", "gone.safetensors", "0" * 64, folder)
    with pytest.raises(InputError, match="no model 'demo9'; choose from demo, vits"):
        read_again("demo9", "untrained", "0" * 64, folder)


def test_made_compares_hashes_and_not_names(folder: Path) -> None:
    path = folder / "vits.pth"
    path.write_bytes(b"weights")
    digest = sha256_file(path)
    assert Weights("vits", path).made(CheckpointFacts("other name.pth", digest, "unknown"))
    assert not Weights("vits", path).made(CheckpointFacts("vits.pth", "0" * 64, "unknown"))


def test_every_published_name_is_found(folder: Path) -> None:
    for name, file in published_files().items():
        (folder / file.local_name).touch()
        assert find(model_named(name), folder) == folder / file.local_name


def test_the_bundled_weights_are_read_and_read_again(folder: Path) -> None:
    found = read(DEMO, None, folder)
    assert (found.name, found.licence) == ("demo.safetensors", "Apache-2.0")
    assert read_again("demo", "demo.safetensors", found.sha256, folder).sha256 == found.sha256
