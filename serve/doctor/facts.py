"""What `doctor` looks at. Rules judge these facts, tests make them up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from depth.chips import INF1, INF2, INFERENTIA, target_of
from depth.cpu import Cpu
from serve.machine import Memory
from serve.runtimes.neuron_cores import Device

DAMAGED = "damaged"  # beside the states of depth/artifact/verification.py


@dataclass(frozen=True)
class Neuron:
    """The driver's and AWS's part. Versions and names are None where nothing tells them."""

    instance_type: Optional[str]  # "inf1.xlarge", as the machine or the driver says
    devices: tuple[Device, ...]
    closed_nodes: tuple[str, ...]  # device nodes that this user may not open
    driver: Optional[str]  # version that is loaded
    driver_on_disk: Optional[str]  # version that the next boot loads
    tools: Mapping[str, str]  # neuron-ls, neuron-monitor: where they are
    system_packages: Mapping[str, str]  # aws-neuronx-*: version
    environment: Mapping[str, str]  # NEURON*
    cores_problem: str  # why this process cannot have its cores, or ""

    @property
    def chip(self) -> Optional[str]:
        """The target whose programs run here, or None if there is no chip."""
        named = target_of(self.instance_type or "")
        if named:
            return named
        if not self.devices:
            return None
        cores = len(self.devices[0].core_ids)
        return INF1 if cores == INFERENTIA.cores else INF2


@dataclass(frozen=True)
class Metadata:
    """EC2's instance metadata service, which announces that a spot instance is taken back."""

    address: str = ""  # "" if it is not asked, as elsewhere than on EC2
    trouble: str = ""  # why its notices would not be seen


@dataclass(frozen=True)
class ArtifactFacts:
    folder: str
    target: str  # "" if it cannot be read
    precision: str
    state: str  # verified, built, failed or damaged
    reason: str  # why it is damaged
    size_bytes: int
    identity: str = ""  # "" if it is damaged
    makes: str = ""  # what it gives, if that is no depth


@dataclass(frozen=True)
class Facts:
    system: str  # kernel and distribution in words
    libc: tuple[str, str]  # "glibc", "2.35"
    python: tuple[int, int, int]
    cpu: Cpu
    memory: Memory
    packages: Mapping[str, str]  # of this environment: version
    neuron: Neuron
    artifacts_folder: str
    artifacts: tuple[ArtifactFacts, ...]
    disk_free_bytes: int  # where artifacts are
    metadata: Metadata = Metadata()
    absent: tuple[
        str, ...
    ] = ()  # first digits of identities that the user gave, and no artifact has

    def version(self, package: str) -> Optional[str]:
        """Of a Python package, or None."""
        return self.packages.get(package)
