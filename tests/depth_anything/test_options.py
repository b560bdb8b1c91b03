"""The options of every command: choices that a shell completes, and paths below the home folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from compile.targets.table import TARGETS
from depth.command import command_of
from depth.family import image_models
from depth.maps.files import FORMATS
from depth.maps.result import OUTPUT_SIZES
from depth.preprocess import MODES
from depth_anything.commands import app
from serve.shapes import POLICIES

CHOICES = {
    "--format": FORMATS,
    "--preprocess": MODES,
    "--output-size": OUTPUT_SIZES,
    "--model": image_models(),
    "--target": TARGETS,
    "--policy": POLICIES,
}
WORDS = ("checkpoint", "images", "out", "store")  # options that may be text
WHOLE = command_of(app)


def commands(command: click.Command, name: str = "depth") -> Iterator[tuple[str, click.Command]]:
    yield name, command
    for each, found in getattr(command, "commands", {}).items():
        yield from commands(found, f"{name} {each}")


@pytest.mark.parametrize("option", CHOICES)
def test_choices_are_those_of_the_tables_and_are_completed(option: str) -> None:
    shell = ShellComplete(WHOLE, {}, "depth", "_DEPTH_COMPLETE")
    found = shell.get_completions(["inference", option], "")
    assert sorted(item.value for item in found) == sorted(CHOICES[option])


def test_every_path_of_every_command_takes_the_home_folder() -> None:
    seen = []
    for name, command in commands(WHOLE):
        for parameter in command.params:
            assert not isinstance(parameter.type, click.Path), (name, parameter.name)
            if parameter.type.name in ("path", "_path") or parameter.name in WORDS:
                found = parameter.type.convert("~/a", parameter, None)
                assert Path(found) == Path.home() / "a", (name, parameter.name)
                seen.append(f"{name} {parameter.name}")
    assert {
        "depth inference input",
        "depth serve folder artifact",
        "depth compile build checkpoint",
        "depth compile job out",
        "depth compile job store",
        "depth compile push store",
        "depth serve bench images",
    } <= set(seen)


def test_a_word_in_place_of_a_path_stays_a_word() -> None:
    build = WHOLE.commands["compile"].commands["job"]  # type: ignore[attr-defined]
    for name, text in {"store": "s3://bucket/models", "checkpoint": "untrained"}.items():
        parameter = next(found for found in build.params if found.name == name)
        assert parameter.type.convert(text, parameter, None) == text


@pytest.mark.parametrize("group", ["depth", "depth checkpoints"])
def test_summaries_are_whole_sentences(group: str) -> None:
    found = dict(commands(WHOLE))
    names = [name for name in found if name.rpartition(" ")[0] == group]
    assert names
    for name in names:
        assert not found[name].get_short_help_str(80 - 6 - len("checkpoints")).endswith("...")
