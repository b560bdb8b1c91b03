"""Can this machine compile for a target? Everything that is wrong, and the command against it.

Asks the package metadata and imports nothing: importing a wrong torch-neuron is itself an error.
No driver and no chip is needed to compile. What is needed is in depth/chips.py.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Optional

from compile.errors import HostError
from depth.chips import INF1, SDKS, Requirement, Sdk, install_command, mismatch

logger = logging.getLogger(__name__)

DEVICES = Path("/dev")


def check_host(target: str) -> None:
    """Raises HostError that lists everything that is wrong, and the command that puts it right."""
    sdk = SDKS[target]
    command = install_command(target, "compile")
    for row in sdk.requirements:
        risk = None if row.breaks else _problem(row)
        if risk and version(row.beside):
            logger.warning("%s: %s", risk, command)
    breaking = (_problem(row) for row in sdk.requirements if row.breaks)
    lines = [f"- {text}" for text in (_wrong_python(sdk), *breaking, _mismatch(sdk)) if text]
    if not lines:
        return
    where = f" in an environment of Python {_named(sdk.pythons)}, then try again"
    if target == INF1:
        where = ", then try again with .venv-inf1/bin/python of that checkout"
    lines += [f"Run this{where}:", f"  {command}"]
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
    return f"Python is {_named([running])}, needed is {_named(sdk.pythons)}"


def _named(pythons: Sequence[tuple[int, int]]) -> str:
    return " or ".join(f"{major}.{minor}" for major, minor in pythons)


def _problem(row: Requirement) -> Optional[str]:
    found = version(row.package)
    if found is None:
        return f"no {row.package}: {row.why}" if row.to_compile else None
    if not row.refuses(found):
        return None
    return f"{row.package} is {found}, needed is {row.needed}: {row.why}"


def _mismatch(sdk: Sdk) -> Optional[str]:
    """The SDK's library is of another release than the SDK is built for."""
    library = sdk.built_for or ""
    found, needed = version(library) if library else None, version(sdk.package)
    release = mismatch(sdk, found, needed)
    if release is None:
        return None
    return f"{library} is {found}, but {sdk.package} {needed} is built for {library} {release}"
