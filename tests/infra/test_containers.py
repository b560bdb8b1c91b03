"""The replay of container files: what it reads, what it leaves out, what it reports."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.places import ROOT

FOLDER = ROOT / "infra" / "containers"


@pytest.fixture(scope="module")
def modules() -> Iterator[dict[str, ModuleType]]:
    names = ("instructions", "root", "replay")
    sys.path.insert(0, str(FOLDER))
    yield {name: importlib.import_module(name) for name in names}
    sys.path.remove(str(FOLDER))
    for name in names:
        del sys.modules[name]


@pytest.mark.parametrize("image", ["serve-cpu", "serve-inf1"])
def test_a_serving_image_starts_the_service(modules: dict[str, ModuleType], image: str) -> None:
    build, final = modules["instructions"].stages(FOLDER / f"{image}.Dockerfile")
    assert final.entrypoint == ["/bin/sh", "/opt/depth/start.sh"]
    assert final.health is not None
    assert "healthz" in final.health[2]
    assert final.user == "10001:10001"
    assert final.variables["DEPTH_FOLDER"] == "/var/lib/depth"
    assert [word for word, _ in final.steps] == ["COPY", "RUN"]
    assert any("--require-hashes" in rest for _, rest in build.steps)


def test_what_cannot_be_replayed_is_named(modules: dict[str, ModuleType]) -> None:
    needs = modules["instructions"].needs
    assert "Debian" in needs("apt-get update", {})
    assert "AWS" in needs('uv pip install --index "${NEURON_INDEX}"', {})
    assert needs('uv pip install --index "${NEURON_INDEX}"', {"NEURON_INDEX": "u"}) is None
    assert needs("python -m venv /opt/depth/env", {}) is None


def test_an_unknown_instruction_is_refused(modules: dict[str, ModuleType], tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text("ARG BASE=a\nFROM ${BASE}\nONBUILD RUN true\n")
    with pytest.raises(ValueError, match="ONBUILD is not known"):
        modules["instructions"].stages(file)


def test_everything_that_is_copied_is_there_and_not_ignored(modules: dict[str, ModuleType]) -> None:
    for file in FOLDER.glob("*.Dockerfile"):
        kept = Path(f"{file}.dockerignore").read_text().splitlines()
        for stage in modules["instructions"].stages(file):
            for word, rest in stage.steps:
                if word == "COPY" and "--from=" not in rest:
                    for source in rest.split()[:-1]:
                        assert (ROOT / source).exists()
                        top = [f"!{source}", f"!{source.split('/')[0]}"]
                        assert set(top) & set(kept), (file.name, source)


@pytest.mark.parametrize(
    ("said", "code", "failed"),
    [
        ("", 1, True),
        ("", 0, True),
        ('{"user": 10001}', 0, False),
        ('{"user": 0}', 1, True),
        ('noise\n{"failed": "not ready"}', 1, True),
    ],
)
def test_a_probe_that_found_something_fails_the_replay(
    modules: dict[str, ModuleType], said: str, code: int, failed: bool
) -> None:
    assert ("failed" in modules["replay"]._verdict(said, code)) == failed
