"""What a family of networks provides, and which families there are. Loads no torch.

A family is a package with these modules; nothing else of it is known outside:

    config     MODELS: dict[str, Model], its models as rows. Loads no torch
    published  FILES: tuple[PublishedFile, ...], the checkpoints that its authors published;
               UNPUBLISHED: dict[str, str], why a model has none
    network    build(model) -> Network: the network of a row, its weights still as torch makes them
    layouts    load_weights(network, state, source): a state dict of any known layout, all keys or
               none

A new family is a package and a line in `FAMILIES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Optional

from depth.artifact.steps import HostStep, Normalise, Step
from depth.errors import InputError
from depth.sizes import SizeRule

if TYPE_CHECKING:
    from torch import Tensor

    from depth.network.base import Network

FAMILIES = ["depth_anything_v2", "depth_anything_3"]  # packages

# Kinds of output.
RELATIVE_INVERSE = "relative_inverse"  # inverse depth without unit: larger is nearer
RELATIVE_DEPTH = "relative_depth"  # depth without unit: larger is farther
FOCAL_NORMALISED = "focal_normalised"  # metres once multiplied by a focal length in px
METRES = "metres"
SCENE_UNITS = "scene_units"  # depth in the unit of a model without known scale
CONFIDENCE, SKY = "confidence", "sky"
RAYS = "rays"  # direction and origin of a line per cell of a grid
CAMERA = "camera"  # nine numbers per view, see depth/steps/cameras.py
NETWORK_DEPTHS = (RELATIVE_INVERSE, RELATIVE_DEPTH, FOCAL_NORMALISED, METRES)
DEPTH_KINDS = (*NETWORK_DEPTHS, SCENE_UNITS)
MAP_KINDS = (*DEPTH_KINDS, CONFIDENCE, SKY)  # of arrays [H,W]
KINDS = (*NETWORK_DEPTHS, CONFIDENCE, SKY, RAYS, CAMERA)  # of what networks give
UNITS = {METRES: "m"}  # by kind; the others have none

UNTRAINED = "untrained"  # the name of fixed-seed weights, in commands and in results
DEPTH = "depth"  # the name of the output that every model of this project has
FUSED = "fused"  # the stage that is the whole network
FLOAT16, FLOAT32 = "float16", "float32"  # dtypes of a program's inputs


@dataclass(frozen=True)
class Port:
    """One named tensor in or out of a stage.

    `axes` has a character per axis: a letter is a size that may differ (B batch, S views, H and W
    px of the network's input, others as the stage has them), a digit is that size: B3HW.
    """

    name: str
    axes: str
    dtype: str = FLOAT32


@dataclass(frozen=True)
class Output:
    """One array of a result."""

    name: str  # "depth"
    kind: str  # of what the network gives, one of KINDS
    axes: str = "BHW"  # of what the network gives
    becomes: Optional[str] = None  # its kind after the host steps, if that is another
    largest: Optional[float] = None  # the far end of its range, where it has one


@dataclass(frozen=True)
class Stage:
    """A part of a network that can be a program of its own; stages are joined by port names."""

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    @property
    def of_scenes(self) -> bool:
        """Whether it has several views at once: an axis S."""
        return any("S" in port.axes for port in self.inputs)


@dataclass(frozen=True)
class ModelConfig:
    """The dimensions of a network of one DINOv2 encoder and one DPT decoder.

    Decoder stages 0..3 have a quarter, a half, one and two patches per cell.
    """

    name: str
    embed_dim: int
    depth: int
    num_heads: int
    taps: tuple[int, int, int, int]  # encoder blocks whose output feeds the decoder
    decoder_dim: int
    stage_dims: tuple[int, int, int, int]
    swiglu: bool = False
    norm_eps: float = 1e-6  # of the encoder's last LayerNorm


IMAGES = Port("images", "B3HW")  # the input of every network
IMAGENET = Normalise((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # RGB, of values in 0..1


@dataclass(frozen=True)
class WithRays:
    """What a model of scenes has if cameras are to be made from rays."""

    stage: Stage  # that also gives rays
    after: Step  # of `Model.chain`
    steps: tuple[Step, ...]  # that follow it
    outputs: tuple[Output, ...]


@dataclass(frozen=True)
class Model:
    """A row of a family's table: everything about a model but its weights."""

    name: str  # what users type: "vits", "da3mono-large"
    family: str  # the package, one of FAMILIES
    config: Any  # the network's dimensions: ModelConfig, or the family's own record
    size: SizeRule
    before: tuple[HostStep, ...]  # from pixels to network input
    after: tuple[HostStep, ...]  # from network output to result
    outputs: tuple[Output, ...]
    split: tuple[Stage, ...] = ()  # the network in stages, first to last; () without stages
    remark: str = ""  # a note for users about its values
    # Models of a family with the same word here have weights of equal names and shapes, so only the
    # sha256 of a known file identifies the model. "": no other model has such weights.
    weights_like: str = ""
    # From network input to network output where the host works between the stages; () where the
    # network is run whole, or its stages one after the other.
    chain: tuple[Step, ...] = ()
    rays: Optional[WithRays] = None  # what a build with rays has beside the rest

    @property
    def takes_scenes(self) -> bool:
        """Whether a stage of it has several views at once."""
        return any(stage.of_scenes for stage in self.split)

    @property
    def kind(self) -> str:
        """The kind of depth after all host steps. Metres may need a focal length."""
        depth = self.depth
        return depth.becomes or depth.kind

    @property
    def depth(self) -> Output:
        return next(output for output in self.outputs if output.name == DEPTH)

    @property
    def fused(self) -> Stage:
        """The whole network as a stage."""
        outputs = tuple(Port(output.name, output.axes) for output in self.outputs)
        return Stage(FUSED, (IMAGES,), outputs)


def module(family: str, name: str) -> ModuleType:
    """A module of a family, imported now: `config`, `published`, `network` or `layouts`."""
    return import_module(f"{family}.{name}")


def models() -> dict[str, Model]:
    """Every model of every family, by its name."""
    return {
        name: row for family in FAMILIES for name, row in module(family, "config").MODELS.items()
    }


def model_named(name: str) -> Model:
    """A model's row; raises InputError that lists the names there are."""
    found = models()
    try:
        return found[name]
    except KeyError:
        raise InputError(f"no model {name!r}; choose from {', '.join(found)}") from None


def image_models() -> dict[str, Model]:
    """The models that take one image at a time."""
    return {name: row for name, row in models().items() if not row.takes_scenes}


def image_model_named(name: str) -> Model:
    """The row of a model that takes one image at a time.

    Raises InputError that lists those, or names what makes scenes for a model of scenes.
    """
    found = image_models()
    if name not in found and name in models():
        raise InputError(
            f"model {name!r} makes scenes of several views, and here each image stands alone: "
            "`python main.py da3` and ScenePipeline take it. Models of single images are "
            f"{', '.join(found)}"
        )
    return found[name] if name in found else model_named(name)


def build(model: Model) -> Network:
    """The network of a model, untrained, at no fixed size, in training mode as torch makes it."""
    found: Network = module(model.family, "network").build(model)
    return found


def load_weights(network: Network, state: Mapping[str, Tensor], source: str) -> None:
    """Load a state dict of any layout that the network's family knows.

    Raises CheckpointError that names the keys that do not fit.
    """
    module(network.model.family, "layouts").load_weights(network, state, source)
