"""The network of `transformers` with random weights, and its depth pipeline around it."""

from __future__ import annotations

import functools
import math
from typing import Any, Optional

import torch

SIZE_PX = 518  # elsewhere transformers resamples the position embedding another way


@functools.cache
def theirs(config: Any, max_depth_m: Optional[float] = None) -> Any:
    """Their network with random weights that no ReLU cuts to zero. Shared: copy before a change."""
    import transformers

    torch.manual_seed(0)
    facts = transformers.DepthAnythingConfig(
        backbone_config=transformers.Dinov2Config(
            hidden_size=config.embed_dim,
            num_hidden_layers=config.depth,
            num_attention_heads=config.num_heads,
            image_size=SIZE_PX,
            patch_size=14,
            out_indices=[tap + 1 for tap in config.taps],
            reshape_hidden_states=False,
            apply_layernorm=True,
            use_swiglu_ffn=config.swiglu,
        ),
        reassemble_hidden_size=config.embed_dim,
        patch_size=14,
        neck_hidden_sizes=list(config.stage_dims),
        fusion_hidden_size=config.decoder_dim,
        head_in_index=-1,
        depth_estimation_type="metric" if max_depth_m else "relative",
        max_depth=max_depth_m,
    )
    network = transformers.DepthAnythingForDepthEstimation
    with torch.device("meta"):  # its own random weights take seconds, and are replaced
        made = network(facts).eval()
    assert not list(made.buffers())
    made.to_empty(device="cpu").requires_grad_(False)
    for name, parameter in made.named_parameters():
        noise = torch.randn(parameter.shape)
        if "embeddings" in name and "projection" not in name:
            parameter.copy_(0.1 * noise)
        elif parameter.ndim > 1:
            parameter.copy_(noise / math.prod(parameter.shape[1:]) ** 0.5)
        else:
            centre = 0.2 if "lambda" in name else 1.0 if "norm" in name and "weight" in name else 0
            parameter.copy_(centre + 0.05 * noise)
    made.head.conv3.bias.fill_(2.0)  # above the ReLU
    return made


def their_pipeline(network: Any) -> Any:
    """Their depth pipeline, with the image processor that the hub's repositories name."""
    import transformers

    processor = transformers.DPTImageProcessor(
        size={"height": SIZE_PX, "width": SIZE_PX},
        keep_aspect_ratio=True,
        ensure_multiple_of=14,
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    return transformers.DepthEstimationPipeline(
        model=network, image_processor=processor, framework="pt", device=-1
    )
