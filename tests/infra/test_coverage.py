"""The table of API calls that a local AWS server has is the server's own answer."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from tests.support.places import ROOT

PAGE = ROOT / "infra/terraform/README.md"
needs_tools = pytest.mark.skipif(
    "CHECK_INFRA" not in os.environ, reason="made by `make check-infra`"
)


@pytest.fixture(scope="module")
def coverage() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location(
        "coverage_of_moto", ROOT / "infra/check/coverage.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_every_resource_has_its_calls_and_no_other_is_listed(coverage: ModuleType) -> None:
    assert set(coverage.resources()) == set(coverage.CALLS)


@needs_tools
def test_the_page_has_the_table_that_the_server_answers(coverage: ModuleType) -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    assert rows == list(coverage.table())


@needs_tools
def test_a_call_that_the_server_lacks_is_seen(coverage: ModuleType) -> None:
    assert coverage.implemented("ecs", "CreateCluster")
    assert not coverage.implemented("ecs", "SubmitTaskStateChange")
    assert not coverage.implemented("s3", "PutBucketIntelligentTieringConfiguration")


@needs_tools
def test_a_call_that_aws_does_not_have_is_refused(coverage: ModuleType) -> None:
    with pytest.raises(KeyError, match="ecs has no MakeCluster"):
        coverage.implemented("ecs", "MakeCluster")
