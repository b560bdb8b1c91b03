"""Can this machine compile for a target? Everything that is missing, each with its fix.

Asks the package metadata and imports nothing: importing a wrong torch-neuron is itself an error.
No driver and no chip is needed to compile. What is needed is in depth/chips.py.
"""

from __future__ import annotations

import logging
import os
import shlex
import sys
from collections.abc import Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Optional

from compile.errors import HostError
from depth.chips import INF1, SDKS, Requirement, Sdk, mismatch

logger = logging.getLogger(__name__)

DEVICES = Path("/dev")
_ROOT = Path(__file__).resolve().parents[2]
_INSTALL, _UNINSTALL = "pip install ", "pip uninstall -y "  # how a fix in depth/chips.py begins


def check_host(target: str) -> None:
    """Raises HostError that lists everything that is wrong, and the commands that put it right."""
    sdk = SDKS[target]
    wrong = [row for row in sdk.requirements if row.breaks and _problem(row)]
    for row in sdk.requirements:
        risk = None if row.breaks else _problem(row)
        if risk and version(row.beside):
            logger.warning("%s: %s", risk, "; ".join(_commands([row], [row])))
    python, release = _wrong_python(sdk), _mismatch(sdk)
    problems = [python, *map(_problem, wrong)]
    commands = [] if python else _commands(wrong, sdk.requirements)
    if release:
        problems.append(release[0])
        commands = commands or [_pip("install", release[1])]
    lines = [f"- {problem}" for problem in problems if problem]
    if not lines:
        return
    then = "try again"
    if target == INF1 and Path(sys.prefix) == _ROOT / ".venv":  # the lane for CPUs has torch 2
        commands = [shlex.join(["bash", str(_ROOT / "infra/setup.sh"), "inf1"])]
        then = f"try again with {_ROOT / '.venv-inf1/bin/python'}"
    if commands:
        lines += [f"Run this, then {then}:", *(f"  {command}" for command in commands)]
    raise HostError("\n".join([f"this machine cannot compile for {target}:", *lines]))


def has_device() -> bool:
    """Whether a Neuron chip's driver is there. Without the driver a program does not load."""
    return any(DEVICES.glob("neuron[0-9]*"))


def version(package: str) -> Optional[str]:
    """The installed version, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _wrong_python(sdk: Sdk) -> Optional[str]:
    running = sys.version_info[:2]
    if running in sdk.pythons:
        return None
    names = " or ".join(".".join(map(str, python)) for python in sdk.pythons)
    wanted = ".".join(map(str, sdk.pythons[0]))
    return (
        f"Python is {running[0]}.{running[1]}, needed is {names}: "
        f"make an environment with `python{wanted} -m venv`"
    )


def _problem(row: Requirement) -> Optional[str]:
    found = version(row.package)
    if found is None:
        return f"no {row.package}: {row.why}" if row.to_compile else None
    if not row.refuses(found):
        return None
    advice = "" if _is_command(row.fix) else f": {row.fix}"
    return f"{row.package} is {found}, needed is {row.needed}: {row.why}{advice}"


def _mismatch(sdk: Sdk) -> Optional[tuple[str, str]]:
    """The SDK's library of another release than the SDK is built for: the problem, and the pin."""
    library = sdk.built_for or ""
    found, needed = version(library) if library else None, version(sdk.package)
    release = mismatch(sdk, found, needed)
    if release is None:
        return None
    problem = f"{library} is {found}, but {sdk.package} {needed} is built for {library} {release}"
    return problem, f"{library}=={release}.*"


def _commands(wrong: Sequence[Requirement], pinned: Sequence[Requirement]) -> list[str]:
    """Commands for what is wrong. The installation names all pins, or pip would move the others."""
    fixes = [part for row in wrong for part in row.fix.split("; ")]
    gone = [part[len(_UNINSTALL) :] for part in fixes if part.startswith(_UNINSTALL)]
    present = [name for name in gone if version(name)]
    commands = [_pip("uninstall", *present)] if present else []
    if any(part.startswith(_INSTALL) for part in fixes):
        pins = [
            word
            for row in pinned
            if row.to_compile or row in wrong
            for part in row.fix.split("; ")
            if part.startswith(_INSTALL)
            for word in shlex.split(part[len(_INSTALL) :])
        ]
        commands.append(_pip("install", *dict.fromkeys(pins)))
    return commands


def _is_command(fix: str) -> bool:
    return fix.startswith((_INSTALL, _UNINSTALL))


def _pip(action: str, *words: str) -> str:
    """A command of pip for the environment that runs this; one made by uv has no pip of its own."""
    if find_spec("pip") is None:
        return shlex.join([_uv(), "pip", action, "--python", sys.executable, *words])
    yes = ["-y"] if action == "uninstall" else []
    return shlex.join([sys.executable, "-m", "pip", action, *yes, *words])


def _uv() -> str:
    """The uv that set-up finds, in the order of infra/tools.sh."""
    places = (Path.home() / ".local/bin/uv", _ROOT / ".tools/uv/bin/uv")
    here = [os.environ.get("UV"), which("uv"), *(str(path) for path in places if path.is_file())]
    return next(filter(None, here), "uv")
