"""`DPTForDepthEstimation` of `transformers` with random weights, of the dimensions of a row."""

from __future__ import annotations

import math
from typing import Any

import torch

from midas.config import DptConfig

_PATCH_PX = 16
# Its configuration has 1e-12 by default, and the published networks were trained with this.
LAYER_NORM_EPS = 1e-6


def their_facts(config: DptConfig, layer_norm_eps: float = LAYER_NORM_EPS) -> Any:
    """Their configuration of a network for squares of its native grid: other sizes fail."""
    import transformers

    side_px = config.native_grid * _PATCH_PX
    taps: dict[str, Any] = {"backbone_out_indices": list(config.taps)}
    if config.resnet:
        dims = [config.stage_dims[0] * 2**stage for stage in range(len(config.resnet))]
        taps = {
            "is_hybrid": True,
            "backbone_out_indices": [0, 1, *config.taps],
            "neck_ignore_stages": [0, 1],
            "backbone_featmap_shape": [1, dims[-1], config.native_grid, config.native_grid],
            "backbone_config": transformers.BitConfig(
                global_padding="same",
                layer_type="bottleneck",
                depths=list(config.resnet),
                hidden_sizes=dims,
                out_features=["stage1", "stage2", "stage3"],
                embedding_dynamic_padding=True,
            ),
        }
    return transformers.DPTConfig(
        hidden_size=config.embed_dim,
        num_hidden_layers=config.depth,
        num_attention_heads=config.num_heads,
        intermediate_size=4 * config.embed_dim,
        image_size=side_px,
        patch_size=_PATCH_PX,
        layer_norm_eps=layer_norm_eps,
        neck_hidden_sizes=list(config.stage_dims),
        fusion_hidden_size=config.decoder_dim,
        readout_type="project",
        **taps,
    )


def their_dpt(config: DptConfig, layer_norm_eps: float = LAYER_NORM_EPS) -> Any:
    """Their network with random weights that no ReLU cuts to zero."""
    import transformers

    torch.manual_seed(0)
    made = (
        transformers.DPTForDepthEstimation(their_facts(config, layer_norm_eps))
        .eval()
        .requires_grad_(False)
    )
    for name, parameter in made.named_parameters():
        noise = torch.randn(parameter.shape)
        if parameter.ndim in (2, 4):
            parameter.copy_(noise / math.prod(parameter.shape[1:]) ** 0.5)
        elif parameter.ndim > 2:
            parameter.copy_(0.1 * noise)
        else:
            parameter.copy_((1.0 if "norm" in name and "weight" in name else 0.0) + 0.05 * noise)
    made.head.head[4].bias.fill_(2.0)  # above the ReLU
    return made
