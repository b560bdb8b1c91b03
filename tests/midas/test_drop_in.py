"""Upstream's import paths: its arguments, its state dicts, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from depth.errors import CheckpointError, InputError
from midas import dpt_depth
from midas.config import SMALL_MODEL
from midas.dpt_depth import DPTDepthModel
from midas.midas_net_custom import MidasNet_small
from tests.support.midas import (
    TINY_HYBRID,
    TINY_LARGE,
    dpt_network,
    published_dpt_shapes,
    small_network,
)

IMAGES = torch.linspace(-2, 2, 3 * 64 * 96).reshape(1, 3, 64, 96)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {"vitl16_384": TINY_LARGE, "vitb_rn50_384": TINY_HYBRID}
    monkeypatch.setattr(dpt_depth, "BACKBONES", rows)


def drawn(features: int = 16) -> dict[str, Tensor]:
    """Under upstream's names, of the tiny DPT-Large."""
    shapes = published_dpt_shapes(replace(TINY_LARGE, decoder_dim=features))
    made = torch.Generator().manual_seed(0)
    return {key: 0.1 * torch.randn(shape, generator=made) for key, shape in shapes.items()}


def ours(backbone: str) -> DPTDepthModel:
    return DPTDepthModel(path=None, backbone=backbone, features=16, non_negative=True).eval()


@pytest.mark.parametrize(
    ("backbone", "name"), [("vitl16_384", "tiny-large"), ("vitb_rn50_384", "tiny-hybrid")]
)
def test_a_file_by_its_path(backbone: str, name: str, tmp_path: Path) -> None:
    expected = dpt_network(name)
    file = tmp_path / "dpt.pt"
    torch.save(expected.state_dict(), file)
    made = DPTDepthModel(path=str(file), backbone=backbone, features=16).eval()
    with torch.no_grad():
        assert torch.equal(made(IMAGES), expected(IMAGES))


def test_state_dicts_of_upstream_also_in_a_training_file_and_a_larger_module() -> None:
    made, state = ours("vitl16_384"), drawn()
    made.load_state_dict({"optimizer": {}, "model": state})
    larger = nn.ModuleDict({"depth": ours("vitl16_384")})
    larger.load_state_dict({f"depth.{key}": value for key, value in state.items()})
    again = ours("vitl16_384")
    again.load_state_dict(made.state_dict())
    with torch.no_grad():
        expected = made(IMAGES)
        assert torch.equal(larger["depth"](IMAGES), expected)
        assert torch.equal(again(IMAGES), expected)


def test_without_the_last_relu_depth_may_be_negative() -> None:
    made = DPTDepthModel(backbone="vitl16_384", features=16, non_negative=False).eval()
    state = drawn()
    state["scratch.output_conv.4.bias"] = torch.full((1,), -5.0)
    made.load_state_dict(state)
    with torch.no_grad():
        assert made(IMAGES).max() < 0


@pytest.mark.parametrize("backbone", ["beitl16_512", "swin2t16_256", "vitb16_384"])
def test_other_backbones_are_refused_with_what_to_use(backbone: str) -> None:
    with pytest.raises(InputError, match=f"'{backbone}': this toolkit has vitl16_384 and vitb_rn5"):
        DPTDepthModel(backbone=backbone)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"readout": "add"}, "readout"),
        ({"use_bn": True}, "use_bn"),
        ({"head_features_2": 16, "use_bn": True}, "use_bn, head_features_2"),
    ],
)
def test_arguments_of_no_published_checkpoint_are_refused(
    given: dict[str, object], names: str
) -> None:
    with pytest.raises(InputError, match=f"^{names}: no published checkpoint has this"):
        DPTDepthModel(backbone="vitl16_384", **given)


def test_a_file_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "dpt.pt"
    torch.save(dpt_network("tiny-large").state_dict(), file)
    with pytest.raises(CheckpointError, match="does not fit this network"):
        DPTDepthModel(path=str(file), backbone="vitb_rn50_384", features=16)
    with pytest.raises(CheckpointError, match="no such file"):
        DPTDepthModel(path=str(tmp_path / "none.pt"), backbone="vitl16_384", features=16)


def test_the_small_model_by_its_path(tmp_path: Path) -> None:
    expected = small_network(model=SMALL_MODEL)
    file = tmp_path / "small.pt"
    torch.save(expected.state_dict(), file)
    made = MidasNet_small(
        str(file),
        features=64,
        backbone="efficientnet_lite3",
        exportable=True,
        non_negative=True,
        blocks={"expand": True},
    ).eval()
    with torch.no_grad():
        assert torch.equal(made(IMAGES), expected(IMAGES))


@pytest.mark.parametrize(
    "given",
    [{"features": 32}, {"backbone": "resnext101_wsl"}, {"blocks": {}}, {"non_negative": False}],
    ids=str,
)
def test_the_small_model_has_one_shape(given: dict[str, object]) -> None:
    with pytest.raises(InputError, match="the published checkpoint has"):
        MidasNet_small(**given)  # type: ignore[arg-type]
