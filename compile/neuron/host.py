"""Can this machine compile for a target? Everything that is missing, each with its fix.

Asks the package metadata and imports nothing: importing a wrong torch-neuron is itself an error.
No driver and no chip is needed to compile.

Sources: AWS Neuron SDK documentation (installation of torch-neuron, release notes, compatibility of
numpy and protobuf) and the package manifest of the SDK.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Optional

from compile.errors import HostError

_INDEX = "--extra-index-url https://pip.repos.neuron.amazonaws.com"
_TORCH_NEURON = f"pip install {_INDEX} torch-neuron==1.13.1.2.11.13.0"
_NEURON_CC = f"pip install {_INDEX} 'neuron-cc[tensorflow]==1.24.0.0'"
_TORCH_NEURONX = f"pip install {_INDEX} 'torch-neuronx==2.7.0.2.10.*' 'neuronx-cc==2.21.*'"
DEVICES = Path("/dev")


@dataclass(frozen=True)
class Requirement:
    """A package whose version is at least `low` and, in as many digits as it has, below `high`."""

    package: str
    low: str
    high: str  # "" for any
    fix: str
    why: str
    optional: bool = False  # its absence is fine


@dataclass(frozen=True)
class Host:
    pythons: tuple[tuple[int, int], ...]
    packages: tuple[Requirement, ...]
    built_for: Optional[tuple[str, str]] = None  # a package, and the one whose release it shares


HOSTS = {
    "inf1": Host(
        pythons=((3, 9), (3, 10)),
        packages=(
            Requirement(
                "torch",
                "1.13.1",
                "1.13.2",
                "pip install torch==1.13.1",
                "torch-neuron refuses any other",
            ),
            Requirement("torch-neuron", "1.13.1", "1.13.2", _TORCH_NEURON, "it traces"),
            Requirement("neuron-cc", "1.13", "2", _NEURON_CC, "it compiles"),
            Requirement(
                "numpy",
                "1.21.6",
                "1.24",
                "pip install numpy==1.22.2",
                "others crash or are too new for the compiler; 1.22.2 is in every stated range",
            ),
            Requirement(
                "protobuf",
                "3.19.5",
                "3.21",
                "pip install protobuf==3.19.5",
                "later ones refuse the compiler's generated code",
            ),
            Requirement(
                "tensorflow",
                "1.15",
                "1.16",
                f"pip uninstall -y tensorflow; {_NEURON_CC}",
                "the compiler reads graphs of TensorFlow 1; TensorFlow 2 breaks torch-neuron",
            ),
            Requirement(
                "tensorflow-cpu",
                "1.15",
                "1.16",
                "pip uninstall -y tensorflow-cpu",
                "TensorFlow 2 breaks torch-neuron",
                optional=True,
            ),
        ),
    ),
    "inf2": Host(
        pythons=((3, 9), (3, 10), (3, 11)),
        packages=(
            Requirement("torch", "2.5", "2.10", _TORCH_NEURONX, "the torch that torch-neuronx has"),
            Requirement(
                "torch-neuronx",
                "2.5.1.2.7",
                "2.10",
                _TORCH_NEURONX,
                "it traces; older ones need a chip for that",
            ),
            Requirement("neuronx-cc", "2", "3", _TORCH_NEURONX, "it compiles"),
            Requirement(
                "protobuf", "3.20", "", "pip install 'protobuf>=3.20'", "torch-neuronx needs it"
            ),
        ),
        built_for=("torch-neuronx", "torch"),
    ),
}


def check_host(target: str) -> None:
    """Raises HostError that lists everything that is wrong, each with the command that fixes it."""
    problems = _problems(HOSTS[target])
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


def _problems(host: Host) -> list[str]:
    found = [_problem(requirement) for requirement in host.packages]
    running = sys.version_info[:2]
    if running not in host.pythons:
        names = " or ".join(".".join(map(str, python)) for python in host.pythons)
        wanted = ".".join(map(str, host.pythons[0]))
        found.insert(
            0,
            f"Python is {running[0]}.{running[1]}, needed is {names}: "
            f"make an environment with `python{wanted} -m venv`",
        )
    found += [_mismatch(*host.built_for)] if host.built_for else []
    return [problem for problem in found if problem]


def _problem(requirement: Requirement) -> Optional[str]:
    found = version(requirement.package)
    low, high = requirement.low, requirement.high
    if found is None and requirement.optional:
        return None
    if found is None:
        return f"no {requirement.package} ({requirement.why}): {_here(requirement.fix)}"
    if _parsed(found) >= _parsed(low) and (not high or _parsed(found) < _parsed(high)):
        return None
    needed = f"at least {low}" + (f" and below {high}" if high else "")
    return (
        f"{requirement.package} is {found}, needed is {needed} ({requirement.why}): "
        f"{_here(requirement.fix)}"
    )


def _mismatch(package: str, library: str) -> Optional[str]:
    found, needed = version(library), version(package)
    if found is None or needed is None or _parsed(found)[:2] == _parsed(needed)[:2]:
        return None
    release = ".".join(map(str, _parsed(needed)[:2]))
    return (
        f"{library} is {found}, but {package} {needed} is built for {library} {release}: "
        + _here(f"pip install '{library}=={release}.*'")
    )


def _here(command: str) -> str:
    """A command of pip for the environment that runs this; one made by uv has no pip of its own."""
    if find_spec("pip") is not None:
        return command.replace("pip ", f"{sys.executable} -m pip ")
    parts = [part.replace("pip ", "uv pip ").replace(" -y", "") for part in command.split("; ")]
    return "; ".join(f"{part} --python {sys.executable}" for part in parts)


def _parsed(text: str) -> tuple[int, ...]:
    """2.8.0+cu128 is (2, 8, 0)."""
    return tuple(int(digits) for digits in re.findall(r"\d+", text.split("+")[0]))
