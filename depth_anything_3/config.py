"""Depth Anything 3 (Lin et al., 2025): its models as data, those of one view and of several."""

from __future__ import annotations

from depth.family import Model
from depth_anything_3.anyview.config import ANY_VIEW_MODELS, NESTED_MODELS, nested_row
from depth_anything_3.mono.config import MONO_MODELS

MODELS: dict[str, Model] = {
    **MONO_MODELS,
    **ANY_VIEW_MODELS,
    **{name: nested_row(nested) for name, nested in NESTED_MODELS.items()},
}
