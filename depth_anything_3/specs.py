"""What `DepthAnything3.inference` returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from depth.maps.result import FloatArray


@dataclass
class Prediction:
    """Upstream's record of the same name. N images of one size [H,W].

    Models of one view give `depth`, `sky` and `processed_images`; the rest is None.
    """

    depth: FloatArray  # [N,H,W]
    is_metric: int = 0  # 1: depth in metres; 0 for depth that still needs a focal length
    sky: Optional[npt.NDArray[np.bool_]] = None  # [N,H,W]: where the sky map is 0.5 or more
    conf: Optional[FloatArray] = None  # [N,H,W]
    extrinsics: Optional[FloatArray] = None  # [N,3,4], world to camera
    intrinsics: Optional[FloatArray] = None  # [N,3,3]
    processed_images: Optional[npt.NDArray[np.uint8]] = None  # [N,H,W,3], RGB
    gaussians: Any = None
    aux: dict[str, Any] = field(default_factory=dict)
    scale_factor: Optional[float] = None
