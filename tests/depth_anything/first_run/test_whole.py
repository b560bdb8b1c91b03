"""A whole first run on stand-ins of AWS's packages: both machines, then one planted fault each."""

from __future__ import annotations

import json
import os
import re
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from depth_anything.first_run.page import page_lines
from depth_anything.first_run.trial import Tried, by_name, read_all
from tests.support.first_run import Hosts, made_hosts
from tests.support.neuron_standin import needs_torch_1_13

pytestmark = [pytest.mark.first_run, needs_torch_1_13, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Hosts:
    """Both machines after a run without faults."""
    made = made_hosts(tmp_path_factory.mktemp("first run") / "hosts")
    for role in ("compile", "serve"):
        made.run(role)
    return made


def test_every_trial_of_both_machines_passes(hosts: Hosts) -> None:
    tried = read_all(hosts.results)
    assert [f"{row.name}: {row.why}" for row in tried if not row.passed] == []
    assert {row.role for row in tried} == {"compile", "serve"}
    assert {"vits-fused", "parity-vits-fused", "cores-4", "soak", "drill-forked"} <= set(
        by_name(tried)
    )


def test_the_page_says_that_no_chip_was_there(hosts: Hosts) -> None:
    page = (hosts.results / "page.md").read_text(encoding="utf-8")
    assert "no figure below is a measurement of a chip" in page


def test_what_is_packed_has_neither_images_nor_weights(hosts: Hosts) -> None:
    for role in ("compile", "serve"):
        path = hosts.folder / f"first-run-{role}.tar.gz"
        assert path.stat().st_size < 4 << 20
        with tarfile.open(path) as packed:
            kinds = {Path(name).suffix for name in packed.getnames()}
        assert kinds <= {".json", ".jsonl", ".md", ".out", ".err", ".log", ".txt", ".csv", ".pt"}


def planted(hosts: Hosts, folder: Path, role: str, name: str, **files: str) -> list[str]:
    """The lines of the page that a fault changes; it is planted while one trial runs again."""
    clean = page_lines(_without_figures(read_all(hosts.results)))
    copy = Hosts(folder / "hosts")
    shutil.copytree(hosts.folder, copy.folder, copy_function=os.link)  # gigabytes of artifacts
    for file, text in files.items():
        (copy.control / file).write_text(text)
    (copy.control / "calls").unlink(missing_ok=True)  # the compiler counts from here
    copy.run(role, "--only", name)
    after = page_lines(_without_figures(read_all(copy.results)))
    return [new for old, new in zip(clean, after) if old != new]


def _without_figures(tried: list[Tried]) -> list[Tried]:
    """Times differ from run to run: only what failed, and how, is compared."""
    return [
        replace(row, duration_s=0.0, facts={"failed": row.state}, artifact=None) for row in tried
    ]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("error", "PF conflict"),
        ("index", "list index out of range"),
        ("instructions", "too many instructions"),
        ("bound", "out of bound"),
        ("partition", "partition"),
        ("kill", "signal 9"),
        ("abort", "aborted"),
    ],
)
def test_a_compiler_that_dies_is_on_the_line_of_its_trial(
    hosts: Hosts, tmp_path: Path, word: str, said: str
) -> None:
    lines = planted(hosts, tmp_path, "compile", "one-layer", behaviours=word)
    assert len(lines) == 1
    assert re.match(r"\| one-layer \|.*\| failed \|", lines[0])
    assert said in lines[0]


def test_a_core_that_computes_wrong_numbers_is_named(hosts: Hosts, tmp_path: Path) -> None:
    lines = planted(hosts, tmp_path, "serve", "every-core", wrong_cores="2\n")
    assert [line.split("|")[1].strip() for line in lines] == ["cores", "every-core"]
    assert "core 2 computes wrong numbers" in lines[1]


def test_a_core_that_hangs_is_named(hosts: Hosts, tmp_path: Path) -> None:
    lines = planted(hosts, tmp_path, "serve", "every-core", faults="run 1 1+ hang\n")
    assert [line.split("|")[1].strip() for line in lines] == ["cores", "every-core"]
    assert "core 1" in lines[1]
    assert "status=5" in lines[1]


def test_results_hold_no_variable_of_the_user_but_those_of_the_runtime(hosts: Hosts) -> None:
    facts = by_name(read_all(hosts.results))["facts"].facts
    assert all(name.startswith("NEURON_") for name in facts["environment"])
    assert "HOME" not in json.dumps(facts)
