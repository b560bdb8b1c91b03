"""All commands of the product, and depth from Python: `DepthPipeline`, `PanoramaPipeline`,
`ScenePipeline` for scenes of images, and `pipeline` for code written for `transformers`. It alone
joins compile and serve.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from depth_anything.model_pipeline import DepthPipeline
    from depth_anything.panoramas.pipeline import PanoramaPipeline
    from depth_anything.scene_pipeline import ScenePipeline
    from depth_anything.transformers_pipeline import pipeline
    from serve.scenes.asked import SceneAsked

__version__ = "0.1.0"
__all__ = [
    "DepthPipeline",
    "PanoramaPipeline",
    "SceneAsked",
    "ScenePipeline",
    "__version__",
    "pipeline",
]

_MODULES = {
    "DepthPipeline": "depth_anything.model_pipeline",
    "PanoramaPipeline": "depth_anything.panoramas.pipeline",
    "SceneAsked": "serve.scenes.asked",
    "ScenePipeline": "depth_anything.scene_pipeline",
    "pipeline": "depth_anything.transformers_pipeline",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:  # on use: `depth --help` does without them
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
