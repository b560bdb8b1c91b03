"""Model sizes, and the models made of them, as data. Imports nothing heavy.

A model is a size plus what its numbers mean. `MODELS` is the one table that the command lines,
the compiler and the checkpoint registry share; a second family of networks is more rows here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from depth.errors import InputError
from depth.family import METRIC, RELATIVE


@dataclass(frozen=True)
class ModelConfig:
    """One network size. Decoder stages 0..3 have strides 3.5, 7, 14 and 28 px."""

    name: str
    embed_dim: int
    depth: int
    num_heads: int
    taps: tuple[int, int, int, int]  # encoder blocks whose output feeds the decoder
    decoder_dim: int
    stage_dims: tuple[int, int, int, int]
    swiglu: bool = False


CONFIGS: dict[str, ModelConfig] = {
    config.name: config
    for config in (
        ModelConfig("demo", 192, 6, 3, (1, 2, 4, 5), 32, (24, 48, 96, 192)),
        ModelConfig("vits", 384, 12, 6, (2, 5, 8, 11), 64, (48, 96, 192, 384)),
        ModelConfig("vitb", 768, 12, 12, (2, 5, 8, 11), 128, (96, 192, 384, 768)),
        ModelConfig("vitl", 1024, 24, 16, (4, 11, 17, 23), 256, (256, 512, 1024, 1024)),
        ModelConfig("vitg", 1536, 40, 24, (9, 19, 29, 39), 384, (1536,) * 4, swiglu=True),
    )
}


@dataclass(frozen=True)
class Model:
    """A network size and what its output means."""

    name: str  # what users type: "vits", "vitb-metric-indoor"
    config: ModelConfig
    max_depth_m: Optional[float] = None  # metric models only: the far end of their range
    short_side_px: int = 518  # what images are resized to; the size it was trained at
    family: str = "depth_anything_v2"

    @property
    def kind(self) -> str:
        """`relative_inverse` or `metric`."""
        return RELATIVE if self.max_depth_m is None else METRIC


MODELS: dict[str, Model] = {
    "demo": Model("demo", CONFIGS["demo"], short_side_px=126),
    **{name: Model(name, CONFIGS[name]) for name in ("vits", "vitb", "vitl", "vitg")},
}
for _size in ("vits", "vitb", "vitl"):
    for _place, _range_m in (("indoor", 20.0), ("outdoor", 80.0)):
        _name = f"{_size}-metric-{_place}"
        MODELS[_name] = Model(_name, CONFIGS[_size], max_depth_m=_range_m)


def model_named(name: str) -> Model:
    """The row of `MODELS`; raises InputError that lists the names there are."""
    try:
        return MODELS[name]
    except KeyError:
        raise InputError(f"no model {name!r}; choose from {', '.join(MODELS)}") from None
