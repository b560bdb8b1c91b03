"""What a caller asks of a scene, and how a caller follows it and gives it up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable, Optional

from depth.errors import InputError
from depth.images.given import Given
from depth.scenes.inputs import CROP, MIXED, check_method
from depth.scenes.scene import Scene
from depth.steps.cameras import Cameras
from depth.steps.reference_view import SADDLE_BALANCED, check_strategy

MOST_VIEWS = 4096  # of a scene: far over what any device has memory for

# What is done, and how many of how many: ("prefix", 3, 8). Called in the caller's thread, must be
# short, and gets each step of STEPS in this order.
OnStep = Callable[[str, int, int], None]
READ, PREFIX, TRUNK, HEAD, METRIC = STEPS = ("read", "prefix", "trunk", "head", "metric")
FRAMES = "frames"  # of a sequence, which has no other steps
GivenUp = Callable[[], bool]  # polled: true ends the scene with GivenUpError


@dataclass(frozen=True)
class SceneAsked:
    """What a caller may choose of a scene. Raises InputError for what is none.

    names           of the views; by default made from the paths of the images
    process_res     px of the long side (`upper_bound_*`) or the short side (`lower_bound_*`)
    method          one of METHODS in depth/scenes/inputs.py
    strategy        for the reference view; see depth/steps/reference_view.py
    ray_pose        cameras from rays instead of the network's own: slower
    cameras         of every view, if they are known: world to camera, px of the source images
    align_to_given  True: depth is scaled to the given cameras, which stay. False: depth stays, and
                    the given cameras are moved to those that the network predicts
    mixed           what becomes of images of several sizes: `crop` cuts all around their centres to
                    the least height and width; `group` keeps the largest group of images of one
                    size, and the result names the views that are left out
    blocks          of the network, whose features are wanted; only a network that is not compiled
                    gives them
    gaussians       whether Gaussians are wanted; as `blocks`, and few models have them
    deadline_s      every stage has to begin by then, counted from the call; else ExpiredError
    """

    names: Sequence[str] = ()
    process_res: int = 504
    method: str = "upper_bound_resize"
    strategy: str = SADDLE_BALANCED
    ray_pose: bool = False
    cameras: Optional[Cameras] = None
    align_to_given: bool = True
    mixed: str = CROP
    blocks: Sequence[int] = ()
    gaussians: bool = False
    deadline_s: Optional[float] = None

    def __post_init__(self) -> None:
        check_method(self.method)
        check_strategy(self.strategy)
        if self.mixed not in MIXED:
            raise InputError(f"mixed sizes {self.mixed!r}: choose from {', '.join(MIXED)}")
        if self.process_res < 1:
            raise InputError(f"process_res {self.process_res} px: must be at least 1")
        if self.deadline_s is not None and not self.deadline_s > 0:
            raise InputError(f"deadline of {self.deadline_s} s: must be above 0")

    def check_compiled(self) -> None:
        """Raise InputError for what compiled programs do not give."""
        for wanted, what in ((self.blocks, "features of blocks"), (self.gaussians, "Gaussians")):
            if wanted:
                raise InputError(
                    f"{what}: a compiled program has no such outputs; take a network that is not "
                    "compiled"
                )


# How a scene is made, however: by a pipeline, by a service, by a network that is not compiled.
MakeScene = Callable[[Sequence[Given], SceneAsked, Optional[OnStep], Optional[GivenUp]], Scene]
