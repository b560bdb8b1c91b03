"""Host work between image file and result, as data: what a manifest lists and a reader refuses.

Each step is a record with its parameters; its code is in depth/steps/. Standard library only. An
unknown step, or a step with a missing or further parameter, is refused when the manifest is read.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Union

from depth.artifact.strict_json import decode

VIEW, SCENE = "view", "scene"  # a step is done once per view, or once per scene


@dataclass(frozen=True)
class Resize:
    """Pixels to the network's size. `dtype` float64: one resize of values in 0..255 without
    rounding, Depth Anything V2's way. uint8: rounded and cut off to whole levels; with two `passes`
    first to the whole-pixel size of the size rule, then to its multiple, Depth Anything 3's way.
    """

    enlarge: str  # "cubic": interpolation if the image grows
    shrink: str  # "cubic" or "area": if it does not
    dtype: str  # "float64" or "uint8"
    passes: int


@dataclass(frozen=True)
class Normalise:
    """Levels 0..255 in RGB to (level / 255 - mean) / std, float32."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class SkyToFar:
    """Depth of sky pixels becomes a quantile of the others' depth, where both are more than
    `least_pixels`. Of more than `most_values` that many are drawn with replacement, by `seed`.
    """

    threshold: float  # sky where the sky map is at least this
    quantile: float
    least_pixels: int
    most_values: int
    seed: int


@dataclass(frozen=True)
class MetresFromFocal:
    """Metres = depth * focal length in px of the network's input / divisor."""

    divisor: float


@dataclass(frozen=True)
class ResizeBack:
    """Maps to the image's own size."""

    interpolation: str  # "bilinear"
    align_corners: bool


@dataclass(frozen=True)
class OrderViews:
    """Where cameras are not known: the reference view first, chosen from the class tokens by a
    strategy of depth/steps/reference_view.py; a caller may name another strategy. Known cameras
    stay in their order.
    """

    strategy: str


@dataclass(frozen=True)
class EncodeCameras:
    """Known cameras to nine numbers per view, `codes`: the first camera is the world, and positions
    are divided by their lower median distance from it. Of cameras that nobody knows: zeros.
    """


@dataclass(frozen=True)
class RestoreViews:
    """The views in the caller's order again."""


@dataclass(frozen=True)
class DecodeCameras:
    """Nine numbers per view, `codes`, to extrinsics and intrinsics: depth/steps/cameras.py."""


@dataclass(frozen=True)
class CamerasFromRays:
    """Where a caller asks for it: cameras from rays. depth/steps/ray_pose.py has the way, and
    upstream's parameters but for the seed, which upstream has not.
    """

    least_depth: float = 1e-4  # of a direction along z; below, the ray does not count
    candidates: float = 0.3  # share of the rays, the surest, from which guesses are made
    guesses: int = 100
    per_guess: int = 8  # rays
    error: float = 0.2  # of a direction at depth 1, up to which a ray agrees
    most: int = 8000  # rays for the last fit
    surest: float = 0.95  # share of the agreeing rays, if there are more than `most`
    seed: int = 0


@dataclass(frozen=True)
class ScaleToMetres:
    """Depth and cameras of a scene in metres, by a second network: depth/steps/metric_scale.py."""

    divisor: float = 300.0  # metres = depth of the metric network * focal length in px / divisor
    sky: float = 0.3  # sky where the sky map is at least this
    least_pixels: int = 10  # of the ground: more than these are needed
    least_metres: float = 1e-2  # below, depth of the metric network does not count
    least_depth: float = 1e-3  # the same of the scene's depth
    far: float = 0.99  # the quantile of depth that the sky gets,
    farthest_m: float = 200.0  # and its limit
    most_values: int = 100_000  # for a median or a quantile; of more values, a sample is drawn
    seed: int = 0


@dataclass(frozen=True)
class Letterbox:
    """The image scaled into the network's size with its aspect ratio kept, centred, and the rest
    filled: depth/steps/letterbox.py.
    """

    level: int = 114  # 0..255, of the filling


@dataclass(frozen=True)
class DecodeYolov8Seg:
    """Boxes, scores and prototypes to instances: depth/steps/instances.py has the way."""

    classes: tuple[str, ...]  # their names, by index
    wanted: tuple[str, ...]  # that a caller gets without naming any; () for all
    detections: str  # names of the outputs
    prototypes: str
    confidence: float = 0.25  # scores have to be above it
    overlap: float = 0.7  # of two boxes of a class with a larger share in common, the surer stays
    most: int = 300  # instances per image
    threshold: float = 0.0  # an instance is where its logits are above it


HostStep = Union[
    Resize,
    Normalise,
    SkyToFar,
    MetresFromFocal,
    ResizeBack,
    OrderViews,
    EncodeCameras,
    RestoreViews,
    DecodeCameras,
    CamerasFromRays,
    ScaleToMetres,
    Letterbox,
    DecodeYolov8Seg,
]

NAMES: dict[type, str] = {
    Resize: "resize",
    Normalise: "normalise",
    SkyToFar: "sky_to_far",
    MetresFromFocal: "metres_from_focal",
    ResizeBack: "resize_back",
    OrderViews: "order_views",
    EncodeCameras: "encode_cameras",
    RestoreViews: "restore_views",
    DecodeCameras: "decode_cameras",
    CamerasFromRays: "cameras_from_rays",
    ScaleToMetres: "scale_to_metres",
    Letterbox: "letterbox",
    DecodeYolov8Seg: "decode_yolov8_seg",
}


class Step:
    """One entry of a manifest's `steps`, either `Do` or `RunStage`."""

    per: str  # VIEW or SCENE

    def as_json(self) -> dict[str, Any]:
        """The entry of the manifest."""
        raise NotImplementedError

    @staticmethod
    def from_json(data: Any, where: str) -> Step:
        """From parsed JSON; strict_json.py calls it. Raises ValueError that names the field."""
        if not isinstance(data, dict) or ("do" in data) == ("run" in data):
            raise ValueError(f"field {where} is {data!r}, expected an object with `do` or `run`")
        rest = dict(data)
        per = rest.pop("per", None)
        if per not in (VIEW, SCENE):
            raise ValueError(f"field {where}.per is {per!r}, expected {VIEW!r} or {SCENE!r}")
        if "run" in rest:
            stage = rest.pop("run")
            if not isinstance(stage, str) or rest:
                raise ValueError(f"field {where} is {data!r}, expected `run` and `per` alone")
            return RunStage(stage, per)
        name = rest.pop("do")
        if not isinstance(name, str) or name not in _KINDS:
            raise ValueError(f"field {where}.do is {name!r}; this version does {', '.join(_KINDS)}")
        return Do(decode(_KINDS[name], rest, where + "."), per)


@dataclass(frozen=True)
class Do(Step):
    """A piece of host work."""

    step: HostStep
    per: str = VIEW

    def as_json(self) -> dict[str, Any]:
        return {"do": NAMES[type(self.step)], "per": self.per, **asdict(self.step)}


@dataclass(frozen=True)
class RunStage(Step):
    """Run the programs of a stage."""

    stage: str
    per: str = VIEW

    def as_json(self) -> dict[str, Any]:
        return {"run": self.stage, "per": self.per}


_KINDS: dict[str, Any] = {name: kind for kind, name in NAMES.items()}
