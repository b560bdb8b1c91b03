"""All commands of the product, and `DepthPipeline`. This package alone joins compile and serve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from depth_anything.pipeline import DepthPipeline

__version__ = "0.1.0"
__all__ = ["DepthPipeline", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "DepthPipeline":  # on use: `depth --help` does without it
        from depth_anything.pipeline import DepthPipeline

        return DepthPipeline
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
