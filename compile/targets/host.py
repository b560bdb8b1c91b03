"""Can this machine compile for a target? Everything that is missing, each with its fix.

Asks the package metadata and imports nothing: importing a wrong torch-neuron is itself an error.
No driver and no chip is needed to compile. What is needed is in depth/chips.py.
"""

from __future__ import annotations

import logging
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Optional

from compile.errors import HostError
from depth.chips import SDKS, Requirement, Sdk, mismatch

logger = logging.getLogger(__name__)

DEVICES = Path("/dev")


def check_host(target: str) -> None:
    """Raises HostError that lists everything that is wrong, each with the command that fixes it."""
    problems = _problems(SDKS[target])
    if problems:
        lines = "".join(f"\n- {problem}" for problem in problems)
        raise HostError(f"this machine cannot compile for {target}:{lines}")


def has_device() -> bool:
    """Whether a Neuron chip's driver is there. Anywhere else a program computes wrong numbers."""
    return any(DEVICES.glob("neuron[0-9]*"))


def version(package: str) -> Optional[str]:
    """The installed version, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _problems(sdk: Sdk) -> list[str]:
    found = [_problem(row) for row in sdk.requirements if row.breaks]
    for row in sdk.requirements:
        risk = None if row.breaks else _problem(row)
        if risk and version(row.beside):
            logger.warning("%s", risk)
    running = sys.version_info[:2]
    if running not in sdk.pythons:
        names = " or ".join(".".join(map(str, python)) for python in sdk.pythons)
        wanted = ".".join(map(str, sdk.pythons[0]))
        found.insert(
            0,
            f"Python is {running[0]}.{running[1]}, needed is {names}: "
            f"make an environment with `python{wanted} -m venv`",
        )
    found.append(_mismatch(sdk))
    return [problem for problem in found if problem]


def _problem(row: Requirement) -> Optional[str]:
    found = version(row.package)
    if found is None:
        missing = f"no {row.package} ({row.why}): {_here(row.fix)}"
        return missing if row.to_compile else None
    if not row.refuses(found):
        return None
    return f"{row.package} is {found}, needed is {row.needed} ({row.why}): {_here(row.fix)}"


def _mismatch(sdk: Sdk) -> Optional[str]:
    library = sdk.built_for or ""
    found, needed = version(library) if library else None, version(sdk.package)
    release = mismatch(sdk, found, needed)
    return release and (
        f"{library} is {found}, but {sdk.package} {needed} is built for {library} {release}: "
        + _here(f"pip install '{library}=={release}.*'")
    )


def _here(command: str) -> str:
    """A command of pip for the environment that runs this; one made by uv has no pip of its own."""
    if "pip " not in command:
        return command
    if find_spec("pip") is not None:
        return command.replace("pip ", f"{sys.executable} -m pip ")
    parts = [part.replace("pip ", "uv pip ").replace(" -y", "") for part in command.split("; ")]
    return "; ".join(f"{part} --python {sys.executable}" for part in parts)
