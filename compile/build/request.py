"""What is to be built, in one record: from a command line, a job file or a caller."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Optional

from compile.targets.protocols import Settings
from compile.targets.table import default_precision, precision_here, ready, target_named
from compile.views import VIEWS, check_scenes
from depth.family import Model, Output, model_named
from depth.sizes import Size, parse_size

if TYPE_CHECKING:
    from compile.int8.layers import Quantisation
    from compile.parity.inputs import Picture
    from depth.weights.checkpoint import Checkpoint

MAX_PHOTOGRAPHS = 3  # each costs an eager run per program


@dataclass(frozen=True)
class Request:
    """Everything that decides what an artifact holds."""

    model: Model
    checkpoint: Checkpoint
    target: str
    precision: str
    sizes: Sequence[Size]  # (height, width) in px
    batches: Sequence[int] = (1,)
    photographs: Sequence[Picture] = ()  # for the parity gate, beside its own test images
    force: bool = False  # write the artifact although its parity failed
    split: bool = False  # encoder and decoder as programs of their own
    settings: Settings = field(default_factory=Settings)  # of a Neuron compiler
    variants: Sequence[str] = ()  # of lowering passes, beside or in place of the target's
    quantisation: Optional[Quantisation] = None  # of a precision that is calibrated
    views: Sequence[int] = ()  # of a scene, for models of scenes; (): VIEWS
    rays: bool = False  # also the stage that cameras from rays need

    @property
    def scene_views(self) -> tuple[int, ...]:
        """The numbers of views that scenes may have; (1,) for models of single images."""
        asked = tuple(dict.fromkeys(self.views))
        return asked or (VIEWS if self.model.takes_scenes else (1,))

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The arrays of a result."""
        also = self.model.rays.outputs if self.rays and self.model.rays else ()
        return (*self.model.outputs, *also)

    @property
    def passes(self) -> tuple[str, ...]:
        """The lowering passes: the target's, and those of `variants`. Loads torch.

        Raises InputError for passes that do not exist or do not go together.
        """
        from compile.lowering.passes import with_variants

        return with_variants(target_named(self.target).passes, self.variants)

    @property
    def takes_half(self) -> bool:
        """Whether images are handed over in float16: the variant input=fp16."""
        return any(text.partition("=")[0] == "input" for text in self.variants)

    def shapes(self) -> Iterator[tuple[Size, int]]:
        for size in dict.fromkeys(self.sizes):
            for batch in dict.fromkeys(self.batches):
                yield size, batch


def requested(
    model: str,
    target: str,
    precision: Optional[str],
    sizes: Sequence[str],
    batches: Sequence[int],
    checkpoint: Optional[str],
    images: Path,
    on_step: Callable[[str], None],
    float_layers: Sequence[str] = (),
    timeout_s: Optional[float] = None,
    **others: Any,
) -> Request:
    """What a command line or a job file asks for, with the weights read.

    `timeout_s`: of one compiler run; `others`: further fields of the request.
    Raises TargetError, InputError, BuildError or CheckpointError.
    """
    row = model_named(model)
    precision = precision or default_precision(target)
    chosen = target_named(target, precision)
    views, rays = others.get("views", ()), bool(others.get("rays"))
    check_scenes(row, views, rays, precision in chosen.calibrated)
    shapes = [parse_size(text, row.size.check) for text in sizes]
    ready(chosen, precision)  # before torch is imported and weights of a gigabyte are read
    precision = precision_here(chosen, precision)

    from compile.int8.layers import pictures_for
    from compile.weights import read

    pictures, quantisation = pictures_for(
        images, MAX_PHOTOGRAPHS, precision in chosen.calibrated, float_layers
    )
    on_step(f"reading the weights of {model}")
    weights = read(row, checkpoint)
    made = Request(
        row,
        weights,
        target,
        precision,
        shapes,
        batches,
        pictures,
        quantisation=quantisation,
        **others,
    )
    if timeout_s is None:
        return made
    return replace(made, settings=replace(made.settings, timeout_s=timeout_s))
