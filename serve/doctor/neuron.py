"""Looks for the Neuron driver, tools and devices. Opens no device and starts no runtime.

Sources: AWS Neuron SDK documentation (user guides of neuron-ls and sysfs, runtime troubleshooting).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional

from depth.chips import INFERENTIA, target_of
from depth.cpu import ROOT, text_of
from serve.doctor.facts import Neuron
from serve.errors import ProgramError
from serve.runtimes import neuron_cores as cores
from serve.runtimes.neuron_cores import Device

_TOOLS = ("neuron-ls", "neuron-monitor")
_INSTANCE = "sys/devices/virtual/dmi/id/product_name"
_DEVICE_INSTANCE = "sys/devices/virtual/neuron_device/neuron0/info/architecture/instance_type"
_DRIVER = "sys/module/neuron/version"
_PACKAGES = "aws-neuronx-*"
_LISTERS = (
    ("dpkg-query", "-W", "-f", "${Package} ${Version}\\n", _PACKAGES),
    ("rpm", "-qa", "--qf", "%{NAME} %{VERSION}\\n", _PACKAGES),
)
_TIMEOUT_S = 20.0


def look(environment: Mapping[str, str], root: Path = ROOT) -> Neuron:
    """Everything there is to see without becoming the owner of a core."""
    devices = cores.find_devices(INFERENTIA.cores)  # if only its node tells of it: which has most
    return Neuron(
        instance_type=_instance_type(root),
        devices=devices,
        closed_nodes=_closed_nodes(),
        driver=text_of(root / _DRIVER),
        driver_on_disk=_output(("modinfo", "-F", "version", "neuron")),
        tools={name: path for name in _TOOLS if (path := _tool(name))},
        system_packages=_system_packages(),
        environment={name: text for name, text in environment.items() if name[:6] == "NEURON"},
        cores_problem=_cores_problem(devices, environment),
    )


def _instance_type(root: Path) -> Optional[str]:
    """EC2 tells it as the product's name; elsewhere that is anything, the driver tells a family."""
    name = text_of(root / _INSTANCE) or ""
    return name if target_of(name) else text_of(root / _DEVICE_INSTANCE)


def _closed_nodes() -> tuple[str, ...]:
    nodes = sorted(cores.NODES.glob("neuron[0-9]*"))
    return tuple(str(node) for node in nodes if not os.access(node, os.R_OK | os.W_OK))


def _tool(name: str) -> Optional[str]:
    return shutil.which(name, path=str(cores.TOOLS)) or shutil.which(name)


def _cores_problem(devices: tuple[Device, ...], environment: Mapping[str, str]) -> str:
    if not devices:
        return ""
    try:
        cores.check_free(cores.share(devices, environment))
    except ProgramError as error:
        return str(error)
    return ""


def _system_packages() -> dict[str, str]:
    """By the package manager that there is; an installed package has a version."""
    for command in _LISTERS:
        lines = [line.split() for line in (_output(command) or "").splitlines()]
        found = {words[0]: words[1] for words in lines if len(words) == 2}
        if found:
            return found
    return {}


def _output(command: Sequence[str]) -> Optional[str]:
    """What a command prints, or None if it is missing or fails."""
    # Not on the PATH of everybody.
    tool = shutil.which(command[0]) or shutil.which(command[0], path="/usr/sbin:/sbin")
    if tool is None:
        return None
    try:
        done = subprocess.run(
            [tool, *command[1:]], capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
