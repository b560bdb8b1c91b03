"""The benchmark that compares an artifact with matrix products."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from depth.artifact.manifest import Artifact
from depth.errors import InputError
from serve import backend
from serve.errors import ProgramError
from tests.benchmarks import matrix_products
from tests.support.manifests import made_artifact, made_manifest
from tests.support.programs import make_artifact

SIZE = (56, 70)

app = typer.Typer()
app.command()(matrix_products.main)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return make_artifact(tmp_path_factory.mktemp("artifacts"), sizes=[SIZE])


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix_products, "SIDE", 32)


def test_the_matrix_products_to_compare_with_are_matrix_products(
    artifact: Artifact, tmp_path: Path
) -> None:
    values = matrix_products.matrix(1)
    program = matrix_products.program_of_products(artifact, tmp_path)
    found = backend.open_runtime(*program).run({"matrix": values})["product"]
    for _ in range(matrix_products.IN_A_ROW):
        values = values @ matrix_products.matrix(0)
    np.testing.assert_allclose(found, values, atol=1e-5)
    with matrix_products.products(artifact) as measure:
        assert measure() > 0


def test_matrix_products_without_openvino_are_refused(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(backend._MODULES, "openvino", "serve.runtime_that_is_not_there")
    with pytest.raises(ProgramError, match="not installed"):  # noqa: SIM117
        with matrix_products.products(artifact):
            pytest.fail("measured nothing")


def test_only_programs_on_the_cpu_are_compared_with_matrix_products() -> None:
    cases = {("openvino", "bf16"): True, ("openvino", "int8"): False, ("inf1", "none"): False}
    for (target, precision), expected in cases.items():
        made = made_artifact(made_manifest(target=target, precision=precision))
        assert matrix_products.comparable(made) is expected
    with pytest.raises(InputError, match="only fp32 and bf16"):
        matrix_products.measured(made, 1.0, None, 1, 1)


def test_a_networks_speed_is_two_operations_per_multiply_accumulate() -> None:
    assert matrix_products.gflops(5.0, [[100.0], [100.0, 90.0]]) == pytest.approx(100)
    assert matrix_products.middle([[1.0, 4.0], [2.0]]) == 2


@pytest.mark.parametrize("gmacs", ["nan", "inf", "0", "-1"])
def test_gmacs_that_are_no_positive_number_are_refused(artifact: Artifact, gmacs: str) -> None:
    command = [str(artifact.folder), f"--gmacs={gmacs}", "--rounds", "1", "--runs", "1"]
    with pytest.raises(InputError, match=f"--gmacs {float(gmacs)}: expected a positive, finite"):
        CliRunner().invoke(app, command, catch_exceptions=False)


def test_the_command_prints_the_share(artifact: Artifact) -> None:
    command = [str(artifact.folder), "--gmacs", "0.1", "--rounds", "1", "--runs", "1"]
    printed = CliRunner().invoke(app, command, catch_exceptions=False).stdout
    assert printed.startswith("network ")
    assert printed.endswith(" %\n")
