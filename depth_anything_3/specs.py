"""What `DepthAnything3.inference` returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
import torch

from depth.maps.result import FloatArray


@dataclass
class Gaussians:
    """Upstream's record of the same name: G = N*H*W, view by view, row by row.

    The world is that of the cameras that the network predicts, in its own scale: not metres, and
    not the caller's cameras.
    """

    means: torch.Tensor  # [1,G,3]
    scales: torch.Tensor  # [1,G,3], standard deviations
    rotations: torch.Tensor  # [1,G,4], w x y z
    harmonics: torch.Tensor  # [1,G,3,9], R G B
    opacities: torch.Tensor  # [1,G], 0 to 1
    cameras: Optional[npt.NDArray[np.float32]] = None  # [N,3,4], world to camera; not upstream's


@dataclass
class Prediction:
    """Upstream's record of the same name. N images of one size [H,W].

    Models of one view give `depth`, `sky` and `processed_images`. Models of any number of views
    give all but `sky`: one scale for depth and for the positions of cameras.
    """

    depth: FloatArray  # [N,H,W]
    is_metric: int = 0  # 1: depth in metres; 0 for depth without unit, or that needs a focal length
    sky: Optional[npt.NDArray[np.bool_]] = None  # [N,H,W]: where the sky map is 0.5 or more
    conf: Optional[FloatArray] = None  # [N,H,W], over 1
    # World to camera: [N,3,4]; [N,4,4] of given cameras that are moved to those predicted.
    extrinsics: Optional[npt.NDArray[Any]] = None
    intrinsics: Optional[FloatArray] = None  # [N,3,3], px of the processed images
    processed_images: Optional[npt.NDArray[np.uint8]] = None  # [N,H,W,3], RGB
    gaussians: Optional[Gaussians] = None
    aux: dict[str, Any] = field(default_factory=dict)  # feat_layer_I: [N,h,w,C]
    scale_factor: Optional[float] = None  # metres per unit of the network, where it knows metres
