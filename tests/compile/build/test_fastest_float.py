"""Precision auto where bf16 alone is over the limit: int8 has float32 beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from compile.build.fastest import build as fastest_build
from compile.build.fastest.build import Attempt, attempts
from compile.build.request import Request
from compile.errors import BuildError, CompileError, FloatLayersError, ParityError
from tests.support.networks import request

ROWS = [("fp32", ""), ("bf16", ""), ("int8-bf16", "")]
FAR = ParityError("too far")


def tried(patch: pytest.MonkeyPatch, refused: dict[str, CompileError]) -> dict[str, Attempt]:
    """By precision, in order; what is refused raises its error."""

    def ask(precision: str, _: Sequence[str]) -> Request:
        # As the command line does on a CPU with bf16.
        made = request(target="openvino", precision=precision.replace("int8", "int8-bf16"))
        calibrated: Any = SimpleNamespace() if "int8" in precision else None
        return fastest_build.replace(made, quantisation=calibrated)

    def build(asked: Request, *_: object) -> str:
        if asked.precision in refused:
            raise refused[asked.precision]
        return asked.precision

    passed = SimpleNamespace(manifest=SimpleNamespace(gate=SimpleNamespace(passed=True)))
    patch.setattr(fastest_build, "build", build)
    patch.setattr(fastest_build, "read_artifact", lambda _: passed)
    plain = request(target="openvino")
    found = attempts(ask, plain, ROWS, Path("unused"), lambda _: None)
    return {one.precision: one for one in found}


def test_bf16_over_its_limit_leaves_out_int8_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = tried(monkeypatch, {"bf16": FAR})
    assert list(found) == ["fp32", "bf16", "int8-bf16", "int8"]
    assert found["bf16"].left_out == "too far"
    assert found["int8-bf16"].left_out == "its float layers alone are over the limit"
    assert found["int8"].artifact is not None


def test_float_layers_over_the_limit_in_bf16_are_tried_in_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = tried(monkeypatch, {"int8-bf16": FloatLayersError("too near")})
    assert found["int8-bf16"].left_out == "too near"
    assert found["bf16"].artifact is not None
    assert found["int8"].artifact is not None


@pytest.mark.parametrize("error", [FAR, BuildError("NNCF could not")])
def test_layers_in_int8_over_the_limit_are_no_reason(
    monkeypatch: pytest.MonkeyPatch, error: CompileError
) -> None:
    assert list(tried(monkeypatch, {"int8-bf16": error})) == ["fp32", "bf16", "int8-bf16"]


def test_bf16_that_cannot_be_built_is_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    found = tried(monkeypatch, {"bf16": BuildError("no room")})
    assert list(found) == ["fp32", "bf16", "int8-bf16"]
    assert found["int8-bf16"].artifact is not None
