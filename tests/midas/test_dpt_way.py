"""DPT goes the whole way on every CPU target: built, proven and served; tiny networks."""

from __future__ import annotations

from pathlib import Path

import pytest

from compile.build.request import Request
from compile.untrained import untrained_checkpoint
from tests.support.midas import TINY_DPT
from tests.support.whole_way import built_and_served


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("target", ["openvino", "onnx", "torchscript"])
@pytest.mark.parametrize("name", list(TINY_DPT))
def test_it_is_built_proven_and_served(name: str, target: str, tmp_path: Path) -> None:
    model, sizes = TINY_DPT[name], [(64, 96), (64, 64)]
    request = Request(model, untrained_checkpoint(model), target, "fp32", sizes, (1,))
    manifest = built_and_served(request, tmp_path, 5e-5, (60, 90))
    assert (manifest.size.bound, manifest.size.multiple_px) == ("minimal", 32)
