"""OpenVINO takes float32 where a CPU lacks an arithmetic; that must never pass for a proof."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from compile.errors import BuildError
from compile.targets import openvino
from compile.targets.protocols import Ports
from serve.runtimes import openvino as runtime_openvino
from tests.support.networks import build_demo


@pytest.fixture
def _no_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "runs_natively", lambda precision: precision == "fp32")


@pytest.mark.usefixtures("_no_bf16")
def test_bf16_is_not_built_where_it_cannot_be_proven(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="this CPU has no bf16.*--precision fp32"):
        build_demo(tmp_path, "openvino", precision="bf16")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_no_bf16")
def test_bf16_is_not_proven_again_there_either(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="has no bf16"):
        openvino.load(
            [tmp_path / "program.xml"], Ports(("images",), ("depth",), ("float32",)), "bf16"
        )


def test_float32_is_in_every_cpu() -> None:
    assert openvino.runs_natively("fp32")


@pytest.mark.parametrize(("used", "said"), [("f32", 1), ("bf16", 0)])
def test_serving_says_that_it_takes_another_arithmetic(
    used: str, said: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        runtime_openvino.warn_unless("bf16", used, "program")
    assert [record.getMessage() for record in caplog.records] == [
        "program: this CPU has no bf16; it runs in f32, slower"
    ] * said
