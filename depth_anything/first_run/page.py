"""The page that a first run ends with: which claims are measured now, and what every trial gave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from depth.console import markdown, one_line
from depth.files import write_whole
from depth_anything.first_run.claims import judged
from depth_anything.first_run.trial import COMPILE, SERVE, Tried, by_name, read_all

PAGE = "page.md"
_CELL_CHARACTERS = 300


def write_page(results: Path) -> Path:
    """Make the page from everything that was tried so far, on either machine."""
    path = results / PAGE
    write_whole(path, "\n".join(page_lines(read_all(results))) + "\n")
    return path


def page_lines(tried: Sequence[Tried]) -> list[str]:
    """The page about these results, in Markdown."""
    results = by_name(tried)
    claims = [
        (claim.row, f"**{verdict.state}**", _cell(verdict.text))
        for claim, verdict in judged(results)
    ]
    return [
        "# First run",
        "",
        *(_machine(tried, role) for role in (COMPILE, SERVE)),
        "",
        "## What the README says",
        "",
        *markdown(("claim", "", "found"), claims),
        "",
        "## What was tried",
        "",
        *markdown(
            ("trial", "for", "state", "s", "found"), [_row(row) for row in tried], right=(3,)
        ),
        "",
        "To take what was measured into the tables of this project:",
        "",
        "```bash",
        "python -m tests.benchmarks.first_run FOLDER   # the folder with this page",
        "```",
    ]


def _machine(tried: Sequence[Tried], role: str) -> str:
    facts = next((row.facts for row in tried if (row.role, row.name) == (role, "facts")), None)
    if facts is None:
        return f"- {role}: no results of this machine in this folder"
    cpu = facts.get("cpu", {}).get("model", "unknown processor")
    packages = facts.get("packages", {})
    names = ("torch", "torch-neuron", "neuron-cc")
    versions = ", ".join(f"{name} {packages[name]}" for name in names if name in packages)
    return f"- {role}: {_cell(str(facts.get('release')))}, {cpu}, {versions}{_driver(tried, role)}"


def _driver(tried: Sequence[Tried], role: str) -> str:
    """Without a driver there is no chip, and no time is a measurement of one."""
    if role == COMPILE:
        return ""
    doctor = next((row.facts for row in tried if row.name == "doctor"), {})
    neuron = doctor.get("facts", {}).get("neuron", {})
    driver, instance = neuron.get("driver"), neuron.get("instance_type")
    if driver is None:
        return "; **no driver here: no figure below is a measurement of a chip**"
    return f", driver {driver}, {instance or 'unknown instance'}"


def _row(tried: Tried) -> tuple[str, ...]:
    found = _cell(tried.why or _found(tried))
    return (tried.name, tried.about, tried.state, f"{tried.duration_s:.0f}", found)


def _found(tried: Tried) -> str:
    """What a passed trial gave, in a few words."""
    facts = tried.facts
    parts = [_built(row) for row in facts.get("built", ())]
    if "bench" in facts:
        rates = facts["bench"]["images_per_s"].items()
        parts.append(f"{facts['bench']['latency_ms']:.3g} ms")
        parts += [f"{rate:.3g} images/s with {streams} in flight" for streams, rate in rates]
    if "median_ms" in facts:
        parts.append(f"{facts['median_ms']:.3g} ms for {facts['bytes']} bytes in and out")
    if "understood_as" in facts:
        parts.append(
            f"{facts['understood_as']}: {facts['text']}" if facts["text"] else "no failure"
        )
    if "images" in facts:
        first, last = facts["first_images_per_s"], facts["last_images_per_s"]
        parts.append(f"{facts['images']} images, {first:.3g} images/s at first, {last:.3g} at last")
    if "modes" in facts:
        longest = max(row["compile_s"] for row in facts["modes"].values())
        parts.append(f"{len(facts['modes'])} modes, each in {longest:.3g} s or less")
    if "compile_s" in facts:
        parts.append(f"{facts['compile_s']} s, {facts['compiled']} operators")
    parts += [f"{name}: {why}" for name, why in _refused(facts)]
    if "only_theirs" in facts:
        counts = [len(facts[key]) for key in ("only_ours", "only_theirs")]
        parts.append(f"{counts[0]} operators on our list only, {counts[1]} on the SDK's only")
    return "; ".join(parts)


def _refused(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What a trial passed without: a dtype that is refused, for instance."""
    whys = facts.get("why")
    if isinstance(whys, dict):
        yield from ((name, why) for name, why in whys.items() if why)


def _built(program: dict[str, object]) -> str:
    asked = program["fallback"] == "as asked"
    how = "" if asked else f", with {program['fallback']}, because {_attempts(program)}"
    spills = ", too large for the chip's memory: slow" if program["gave_up_optimising"] else ""
    counts = f"{program['compiled']} of {program['operators']} operators"
    return f"{program['name']} in {program['build_s']} s, {counts}{how}{spills}"


def _attempts(program: dict[str, object]) -> str:
    attempts = program["attempts"]
    rows = attempts if isinstance(attempts, list) else []
    return ", ".join(f"{fallback} failed ({cause})" for fallback, cause in rows)


def _cell(text: str) -> str:
    plain = one_line(text).replace("|", "\\|")
    return plain if len(plain) <= _CELL_CHARACTERS else plain[: _CELL_CHARACTERS - 3] + "..."
