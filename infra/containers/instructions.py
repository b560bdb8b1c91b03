"""Reads the Dockerfiles here: the instructions of each stage, and how its container starts."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

KNOWN = {"ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "RUN"}
KNOWN |= {"USER", "WORKDIR"}


@dataclass
class Stage:
    """What a FROM begins: steps in their order, and how its last container starts."""

    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)  # COPY or RUN, the words after it
    arguments: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = "0:0"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health: Optional[list[str]] = None


def stages(path: Path) -> list[Stage]:
    """The stages of a Dockerfile. Raises ValueError for an instruction that is not known here."""
    found: list[Stage] = []
    for word, rest in _instructions(path.read_text()):
        if word not in KNOWN:
            known = " ".join(sorted(KNOWN))
            raise ValueError(f"{path}: {word} is not known to the replay; known: {known}")
        if word == "FROM":
            _, _, name = rest.partition(" AS ")
            found.append(Stage(name.strip() or str(len(found))))
        elif found:  # before the first FROM, ARG names the base image
            _add(found[-1], word, rest)
    return found


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n", " ", lines).splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield word, rest.strip()


def _pair(rest: str) -> dict[str, str]:
    name, _, value = rest.partition("=")
    return {name: value}


def _add(stage: Stage, word: str, rest: str) -> None:
    if word == "ARG":
        stage.arguments.update(_pair(rest))
    elif word == "ENV":
        for pair in shlex.split(rest):
            stage.variables.update(_pair(pair))
    elif word in ("COPY", "RUN"):
        stage.steps.append((word, rest))
    elif word == "WORKDIR":
        stage.folder = rest
    elif word == "USER":
        stage.user = rest
    elif word == "ENTRYPOINT":
        stage.entrypoint = json.loads(rest)
    elif word == "CMD":
        stage.command = json.loads(rest)
    elif word == "HEALTHCHECK" and rest != "NONE":
        stage.health = json.loads(rest[rest.index("CMD ") + 4 :])


def needs(step: str, environment: Mapping[str, str]) -> Optional[str]:
    """Why a RUN cannot be replayed with this environment, or None."""
    if "apt-get" in step:
        return "it adds Debian's packages to the base image"
    if "NEURON_INDEX" in step and "NEURON_INDEX" not in environment:
        return "it needs AWS's index"
    return None
