"""The parts of upstream's class under its names, called as programs that build on it call them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from depth.errors import InputError
from depth_anything_v2.config import CONFIGS
from depth_anything_v2.dinov2 import DINOv2, vit_giant2, vit_small
from depth_anything_v2.dpt import DepthAnythingV2, DPTHead
from depth_anything_v2.util.blocks import FeatureFusionBlock, ResidualConvUnit, _make_scratch
from depth_anything_v2.util.transform import NormalizeImage, PrepareForNet, Resize
from tests.support.models import to_upstream, weights

DEMO: dict[str, Any] = {"encoder": "demo", "features": 32, "out_channels": [24, 48, 96, 192]}
STATE = to_upstream(weights(CONFIGS["demo"]))
MATCHED = "<All keys matched successfully>"  # as torch prints it
IMAGES = torch.rand(2, 3, 28, 42, generator=torch.Generator().manual_seed(0))


def made(max_depth: Any = None) -> DepthAnythingV2:
    model = DepthAnythingV2(**DEMO, max_depth=max_depth)
    model.load_state_dict(STATE)
    return model.eval()


def test_every_name_is_upstreams() -> None:
    model = made()
    state = model.state_dict()
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in STATE.items())
    assert {name for name, _ in model.named_parameters()} == STATE.keys()
    assert model.pretrained is model.pretrained
    linear = {name for name, part in model.named_modules() if isinstance(part, nn.Linear)}
    assert "pretrained.blocks.3.attn.qkv" in linear
    assert model.get_submodule("pretrained.blocks.3.attn.qkv") in set(model.modules())
    assert dict(model.named_modules())["pretrained"] is model.pretrained


def test_names_are_upstreams_inside_of_a_larger_module() -> None:
    outer = nn.ModuleDict({"depth": made(), "other": nn.Linear(2, 2)})
    expected = {f"depth.{name}" for name in STATE} | {"other.weight", "other.bias"}
    assert outer.state_dict().keys() == expected
    assert {name for name, _ in outer.named_parameters()} == expected
    again = nn.ModuleDict({"depth": DepthAnythingV2(**DEMO), "other": nn.Linear(2, 2)})
    assert str(again.load_state_dict(outer.state_dict(), strict=True)) == MATCHED
    assert torch.equal(again["depth"].eval()(IMAGES), made()(IMAGES))


def test_what_no_call_uses_is_kept_as_it_was_loaded() -> None:
    token = torch.full_like(STATE["pretrained.mask_token"], 7.0)
    model = DepthAnythingV2(**DEMO)
    model.load_state_dict({"model": {**STATE, "pretrained.mask_token": token}})
    assert torch.equal(model.state_dict()["pretrained.mask_token"], token)


class Trainer:
    """Called as a program for fine-tuning does: groups of parameters, a frozen encoder, a step."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        named = list(model.named_parameters())
        self.groups = [
            {"params": [p for name, p in named if "pretrained" in name], "lr": 0.001},
            {"params": [p for name, p in named if "pretrained" not in name], "lr": 0.01},
        ]
        self.optimiser = torch.optim.AdamW(self.groups)

    def step(self, images: Tensor) -> None:
        self.optimiser.zero_grad()
        (self.model(images) - 1).abs().mean().backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()


def test_a_program_for_fine_tuning_trains_both_parts() -> None:
    model = made().train()
    trainer = Trainer(model)
    sizes = [sum(p.numel() for p in group["params"]) for group in trainer.groups]
    assert sizes[0] == sum(p.numel() for p in model.pretrained.parameters())
    assert sizes[1] == sum(p.numel() for p in model.depth_head.parameters())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    trainer.step(IMAGES)
    after = model.state_dict()
    moved = ("pretrained.pos_embed", "pretrained.blocks.0.ls1.gamma", "depth_head.projects.0.bias")
    for name in moved:
        assert not torch.equal(before[name], after[name]), name


def test_a_frozen_encoder_stays(tmp_path: Any) -> None:
    model = made().train()
    for parameter in model.pretrained.parameters():
        parameter.requires_grad = False
    trainer = Trainer(model)
    trainer.step(IMAGES)
    torch.save({"model": model.state_dict()}, tmp_path / "latest.pth")
    again = DepthAnythingV2(**DEMO)
    again.load_state_dict(torch.load(tmp_path / "latest.pth")["model"])
    for name, tensor in again.state_dict().items():
        same = torch.equal(tensor, STATE[name])
        assert same or not name.startswith("pretrained."), name
    assert not torch.equal(again(IMAGES), made()(IMAGES))


class FeatureUser(nn.Module):
    """Called as a network on top: its own steps between encoder and head, its own last layer."""

    def __init__(self, model: DepthAnythingV2) -> None:
        super().__init__()
        self.pretrained, self.depth_head = model.pretrained, model.depth_head
        self.idx = model.intermediate_layer_idx[model.encoder]
        self.bottleneck = nn.Conv2d(self.pretrained.embed_dim, 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h, w = x.shape[-2] // 14, x.shape[-1] // 14
        features = self.pretrained.get_intermediate_layers(x, self.idx, return_class_token=True)
        depth = torch.relu(self.depth_head(features, h, w)).squeeze(1)
        (last,) = self.pretrained.get_intermediate_layers(x, 1, reshape=True)
        return depth, self.bottleneck(last)


@pytest.mark.parametrize("max_depth", [None, 20.0])
def test_a_network_on_top_gets_the_same_depth(max_depth: Any) -> None:
    model = made(max_depth)
    with torch.no_grad():
        depth, reduced = FeatureUser(model)(IMAGES)
        expected = model(IMAGES)
    assert torch.allclose(depth * (max_depth or 1), expected, rtol=1e-6)
    assert reduced.shape == (2, 4, 2, 3)


def test_tokens_of_the_encoder() -> None:
    model = made().pretrained
    with torch.no_grad():
        pairs = model.get_intermediate_layers(IMAGES, 2, return_class_token=True)
        maps = model.get_intermediate_layers(IMAGES, [4, 5], reshape=True)
        raw = model.get_intermediate_layers(IMAGES, [5], norm=False)
        features = model.forward_features(IMAGES)
        whole = model(IMAGES, is_training=True)["x_prenorm"]
    for (tokens, _), found in zip(pairs, maps):
        assert torch.equal(found.flatten(2).transpose(1, 2), tokens)
    assert torch.equal(features["x_norm_clstoken"], pairs[1][1])
    assert torch.equal(features["x_norm_patchtokens"], pairs[1][0])
    assert torch.equal(whole[:, 1:], raw[0])
    assert features["x_norm_regtokens"].shape[1] == 0
    assert (model.embed_dim, model.n_blocks, model.num_heads, model.patch_size) == (192, 6, 3, 14)
    assert (model.patch_embed.num_patches, model.patch_embed.patch_size) == (1369, (14, 14))
    assert model.patch_embed(IMAGES).shape == (2, 6, 192)
    assert (model.cls_token.shape, model.pos_embed.shape) == ((1, 1, 192), (1, 1370, 192))


@pytest.mark.parametrize("n", [0, 7, [6], [-1], [], [1, 1]])
def test_blocks_that_there_are_not_are_refused(n: Any) -> None:
    with pytest.raises(InputError, match="expected numbers of blocks below 6"):
        made().pretrained.get_intermediate_layers(IMAGES, n)


def test_sizes_and_masks_are_refused() -> None:
    model = made().pretrained
    with pytest.raises(InputError, match="height 30 px: must be a multiple of 14"):
        model(torch.zeros(1, 3, 30, 42))
    with pytest.raises(InputError, match="masks: DINOv2's own training"):
        model(IMAGES, torch.zeros(2, 6, dtype=torch.bool))


def test_an_encoder_alone_loads_the_file_of_its_authors() -> None:
    theirs = {
        name.partition(".")[2]: tensor for name, tensor in STATE.items() if "pretrained" in name
    }
    encoder = DINOv2("demo").eval()
    assert encoder.state_dict().keys() == theirs.keys()
    assert str(encoder.load_state_dict(theirs)) == MATCHED
    assert torch.equal(encoder(IMAGES), made().pretrained(IMAGES))
    del theirs["norm.bias"]
    with pytest.raises(RuntimeError, match="norm.bias"):
        encoder.load_state_dict(theirs)


OPTIONS: dict[str, Any] = {
    "img_size": 518,
    "patch_size": 14,
    "init_values": 1.0,
    "ffn_layer": "mlp",
    "block_chunks": 0,
}


def test_upstreams_functions_take_what_it_gives_them() -> None:
    assert vit_small(**OPTIONS, num_register_tokens=0).embed_dim == 384
    for more, text in (
        ({"num_register_tokens": 4}, "num_register_tokens=4: no encoder"),
        ({"patch_size": 16}, r"patch_size=16: .* call DINOv2\('vits'\)"),
        ({"ffn_layer": "swiglufused"}, "ffn_layer='swiglufused'"),
        ({"drop_path_rate": 0.1}, "drop_path_rate: no encoder"),
    ):
        with pytest.raises(InputError, match=text):
            vit_small(**{**OPTIONS, **more})
    with pytest.raises(InputError, match=r"img_size=224, .*call DINOv2\('vits'\)"):
        vit_small()
    with pytest.raises(InputError, match="ffn_layer='mlp'"):
        vit_giant2(**OPTIONS)
    with pytest.raises(InputError, match="model_name 'vitx': choose from demo, vits"):
        DINOv2("vitx")


def test_a_head_of_its_own() -> None:
    head = DPTHead(192, 32, out_channels=[24, 48, 96, 192]).eval()
    theirs = {k.partition(".")[2]: t for k, t in STATE.items() if k.startswith("depth_head.")}
    assert head.state_dict().keys() == theirs.keys()
    head.load_state_dict(theirs)
    features = made().pretrained.get_intermediate_layers(IMAGES, (1, 2, 4, 5))
    assert torch.allclose(head(features, 2, 3).squeeze(1), made()(IMAGES))
    with pytest.raises(InputError, match="no published checkpoint has them"):
        DPTHead(192, 32, use_clstoken=True)


def test_blocks_of_a_decoder() -> None:
    block = FeatureFusionBlock(4, nn.ReLU(False), deconv=False, bn=False, expand=False)
    x = torch.rand(1, 4, 3, 5)
    assert block(x).shape == (1, 4, 6, 10)
    assert block(x, x, size=(4, 7)).shape == (1, 4, 4, 7)
    assert {name.split(".")[0] for name in block.state_dict()} == {
        "resConfUnit1",
        "resConfUnit2",
        "out_conv",
    }
    assert ResidualConvUnit(4, nn.ReLU())(x).shape == x.shape
    scratch: Any = _make_scratch([24, 48, 96, 192], 32)
    assert {f"depth_head.scratch.{name}" for name in scratch.state_dict()} < STATE.keys()
    assert scratch.layer2_rn(torch.rand(1, 48, 3, 5)).shape == (1, 32, 3, 5)
    with pytest.raises(InputError, match="expand: Depth Anything V2 never has it"):
        _make_scratch([24, 48, 96, 192], 32, expand=True)
    with pytest.raises(InputError, match="deconv, bn: Depth Anything V2 never has it"):
        FeatureFusionBlock(4, nn.ReLU(), deconv=True, bn=True)
    with pytest.raises(InputError, match="activation GELU: expected nn.ReLU"):
        ResidualConvUnit(4, nn.GELU())


def test_the_transforms_make_the_input_of_infer_image() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    steps = [
        Resize(56, 56, False, True, 14, "lower_bound", image_interpolation_method=2),
        NormalizeImage(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
        PrepareForNet(),
    ]
    sample: Any = {"image": photo[:, :, ::-1] / 255.0, "depth": np.ones((60, 90)), "size": (60, 90)}
    for step in steps:
        sample = step(sample)
    expected, _ = made().image2tensor(photo, 56)
    assert np.abs(sample["image"] - expected[0].numpy()).max() <= 1e-6
    assert sample["image"].dtype == sample["depth"].dtype == np.float32
    assert sample["depth"].shape == (60, 90)
    assert sample["size"] == (60, 90)


def test_targets_are_resized_by_the_nearest_pixel() -> None:
    depth = np.arange(12.0).reshape(3, 4)
    sample = Resize(8, 6)({"image": np.zeros((3, 4, 3)), "depth": depth, "mask": depth > 5})
    assert np.array_equal(sample["depth"], depth.repeat(2, 0).repeat(2, 1))
    assert np.array_equal(sample["mask"], (depth > 5).repeat(2, 0).repeat(2, 1))
    assert sample["mask"].dtype == np.float32


@pytest.mark.parametrize(
    ("method", "keep", "expected"),
    [
        ("lower_bound", True, (84, 56)),
        ("upper_bound", True, (56, 42)),
        ("minimal", True, (84, 56)),
        ("minimal", False, (56, 56)),
    ],
)
def test_sizes_by_method(method: str, keep: bool, expected: tuple[int, int]) -> None:
    resize = Resize(56, 56, False, keep, 14, method)
    assert resize.get_size(90, 60) == expected


def test_a_narrow_image_keeps_a_row_of_patches() -> None:
    for method in ("upper_bound", "minimal"):
        resize = Resize(56, 56, False, True, 14, method)
        assert resize({"image": np.zeros((2, 900, 3))})["image"].shape == (14, 56, 3)


def test_what_cannot_be_resized_to_is_refused() -> None:
    with pytest.raises(InputError, match="resize_method 'lower': expected lower_bound"):
        Resize(56, 56, resize_method="lower")
    with pytest.raises(InputError, match="resize to 0x56 px"):
        Resize(0, 56)
