"""All commands of the product, and depth from Python: `DepthPipeline`, and `pipeline` for code that
was written for `transformers`. This package alone joins compile and serve.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from depth_anything.model_pipeline import DepthPipeline
    from depth_anything.transformers_pipeline import pipeline

__version__ = "0.1.0"
__all__ = ["DepthPipeline", "__version__", "pipeline"]

_MODULES = {"DepthPipeline": "model_pipeline", "pipeline": "transformers_pipeline"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:  # on use: `depth --help` does without them
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
