"""The models of any number of views, as data."""

from __future__ import annotations

from dataclasses import dataclass, replace

from depth.artifact.steps import (
    SCENE,
    CamerasFromRays,
    DecodeCameras,
    Do,
    EncodeCameras,
    OrderViews,
    RestoreViews,
    RunStage,
    ScaleToMetres,
)
from depth.family import (
    CAMERA,
    CONFIDENCE,
    DEPTH,
    FOCAL_NORMALISED,
    IMAGES,
    METRES,
    RELATIVE_DEPTH,
    SKY,
    Model,
    ModelConfig,
    Output,
    Port,
    Stage,
    WithRays,
)
from depth.family import RAYS as LINES
from depth.sizes import SizeRule
from depth.steps.reference_view import SADDLE_BALANCED
from depth.steps.stages import CAMERAS, HEAD, METRIC, PREFIX, RAYS, TRUNK
from depth_anything_3.mono.config import BACK, BEFORE, MONO_MODELS, SIZE

NORM_EPS = 1e-5  # of every LayerNorm but those of the blocks
CAMERA_HEADS, CAMERA_BLOCKS = 16, 4  # of the camera encoder, in every model


@dataclass(frozen=True)
class AnyViewConfig(ModelConfig):
    """The dimensions of a network of any number of views.

    Blocks before `alternate_from` know one view. Of the others, those of odd number attend over all
    views, and those of even number over their own view.
    """

    alternate_from: int = 1
    gaussians: bool = False  # whether there is a decoder of Gaussians


# One view at a time | all views | all views | one view at a time. Codes: cameras as nine numbers;
# known: 1, or 0 where the codes do not count. Features: four token maps side by side.
_MAPS = (Port(DEPTH, "BHW"), Port("confidence", "BHW"))
SPLIT = (
    Stage(PREFIX, (IMAGES,), (Port("tokens", "BNC"), Port("class_tokens", "BC"))),
    Stage(CAMERAS, (Port("codes", "BS9"), Port("known", "B11")), (Port("camera_tokens", "BSC"),)),
    Stage(
        TRUNK,
        (Port("tokens", "BSNC"), Port("camera_tokens", "BSC")),
        (Port("features", "BSPD"), Port("codes", "BS9")),
    ),
    Stage(HEAD, (Port("features", "BPD"),), _MAPS),
)
_LINES = (Port("rays", "BGI6"), Port("ray_confidence", "BGI"))  # a ray per cell of a grid
CHAIN = (
    RunStage(PREFIX),
    Do(OrderViews(SADDLE_BALANCED), SCENE),
    Do(EncodeCameras(), SCENE),
    RunStage(CAMERAS, SCENE),
    RunStage(TRUNK, SCENE),
    Do(RestoreViews(), SCENE),
    Do(DecodeCameras(), SCENE),
    RunStage(HEAD),
)
WITH_RAYS = WithRays(
    Stage(RAYS, (Port("features", "BPD"),), (*_MAPS, *_LINES)),
    RunStage(HEAD),
    (RunStage(RAYS), Do(CamerasFromRays(), SCENE)),
    (Output("rays", LINES, "BGI6"), Output("ray_confidence", CONFIDENCE, "BGI")),
)


def model_row(config: AnyViewConfig, size: SizeRule = SIZE) -> Model:
    """A model of any number of views: depth without unit, larger is farther, and confidence."""
    return Model(
        config.name,
        "depth_anything_3",
        config,
        size,
        BEFORE,
        (BACK,),
        (
            Output(DEPTH, RELATIVE_DEPTH),
            Output("confidence", CONFIDENCE),
            Output("cameras", CAMERA, "BS9"),
        ),
        SPLIT,
        "all views of a call share one scale",
        chain=CHAIN,
        rays=WITH_RAYS,
        native_px=518,
    )


def _config(
    name: str,
    encoder: tuple[int, int, int],  # width, blocks, heads
    taps: tuple[int, int, int, int],
    alternate_from: int,
    decoder_dim: int,
    stage_dims: tuple[int, int, int, int],
    giant: bool = False,
) -> AnyViewConfig:
    dims = (*encoder, taps, decoder_dim, stage_dims, giant, NORM_EPS)
    return AnyViewConfig(name, *dims, alternate_from, gaussians=giant)


_WIDE = (256, 512, 1024, 1024)
SMALL = _config("da3-small", (384, 12, 6), (5, 7, 9, 11), 4, 64, (48, 96, 192, 384))
BASE = _config("da3-base", (768, 12, 12), (5, 7, 9, 11), 4, 128, (96, 192, 384, 768))
LARGE = _config("da3-large", (1024, 24, 16), (11, 15, 19, 23), 8, 256, _WIDE)
GIANT = _config("da3-giant", (1536, 40, 24), (19, 27, 33, 39), 13, 256, _WIDE, giant=True)

ANY_VIEW_MODELS: dict[str, Model] = {c.name: model_row(c) for c in (SMALL, BASE, LARGE, GIANT)}


@dataclass(frozen=True)
class NestedModel:
    """Two networks: depth and cameras by one, and by the other how long a metre is."""

    name: str
    any_view: Model
    metric: Model


_METRIC = Stage(METRIC, (IMAGES,), (Port(DEPTH, "BHW"), Port("sky", "BHW")))


def nested_row(nested: NestedModel) -> Model:
    """A model of any number of views in metres, compiled as one."""
    row = nested.any_view
    depth, *others = row.outputs
    return replace(
        row,
        name=nested.name,
        config=nested,
        outputs=(
            replace(depth, becomes=METRES),
            *others,
            Output("metric_depth", FOCAL_NORMALISED),
            Output("sky", SKY),
        ),
        split=(*row.split, _METRIC),
        chain=(*row.chain, RunStage(METRIC), Do(ScaleToMetres(), SCENE)),
        remark="depth and cameras in metres",
    )


NESTED_MODELS: dict[str, NestedModel] = {
    "da3nested-giant-large": NestedModel(
        "da3nested-giant-large", ANY_VIEW_MODELS["da3-giant"], MONO_MODELS["da3metric-large"]
    )
}
