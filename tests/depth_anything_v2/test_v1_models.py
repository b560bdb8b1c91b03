"""Depth Anything V1 is Depth Anything V2's network with other taps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from depth_anything_v2.config import MODELS


@pytest.mark.parametrize(
    ("size", "taps"),
    [("vits", (8, 9, 10, 11)), ("vitb", (8, 9, 10, 11)), ("vitl", (20, 21, 22, 23))],
)
def test_a_row_of_version_1_differs_in_name_and_taps(size: str, taps: tuple[int, ...]) -> None:
    first, second = MODELS[f"v1-{size}"], MODELS[size]
    assert first.config.taps == taps
    assert first == replace(
        second,
        name=f"v1-{size}",
        config=replace(second.config, taps=taps),
        remark="Depth Anything V1",
    )


def test_models_of_equal_shape_share_weights_like() -> None:
    alike = {model.name for model in MODELS.values() if model.weights_like == "vits"}
    assert alike == {"vits", "vits-metric-indoor", "vits-metric-outdoor", "v1-vits"}
