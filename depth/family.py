"""What a family of networks provides, and which families there are. Loads no torch."""

from __future__ import annotations

RELATIVE = "relative_inverse"  # inverse depth without unit: larger is nearer
METRIC = "metric"  # metres
UNTRAINED = "untrained"  # the name of fixed-seed weights, in commands and in results
PATCH_PX = 14  # side of one patch
NATIVE_GRID = 37  # patches per side of the position embedding in every checkpoint: 518 / 14
