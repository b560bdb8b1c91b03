"""Arrays by name: what goes into programs and comes out of them."""

from __future__ import annotations

from collections.abc import Mapping

from depth.maps.result import FloatArray

Arrays = Mapping[str, FloatArray]  # names as in Program.inputs and Program.outputs
