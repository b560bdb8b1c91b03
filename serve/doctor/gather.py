"""All facts of this machine. Every byte of every artifact is read."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Callable

from depth.artifact.anchor import identity_digits
from depth.artifact.manifest import MANIFEST, Manifest, read_artifact
from depth.artifact.verification import state
from depth.cpu import ROOT, read_cpu, text_of
from depth.errors import ArtifactError
from depth.family import INSTANCE_MASKS
from serve.doctor import neuron
from serve.doctor.facts import DAMAGED, ArtifactFacts, Facts, Metadata
from serve.jobs import spot
from serve.machine import installed, read_memory


def gather(
    artifacts: Path,
    on_step: Callable[[str], None] = lambda _: None,
    identities: Sequence[str] = (),
) -> Facts:
    """Look at everything; `on_step` is called with what is looked at.

    identities  the artifacts' identities, as `identity_digits` takes them; () for any
    Raises InputError for another text.
    """
    allowed = tuple(map(identity_digits, identities))
    on_step("machine")
    found = tuple(_artifacts(artifacts, on_step, allowed))
    python = sys.version_info
    return Facts(
        system=f"{_distribution()}, kernel {platform.release()}",
        libc=platform.libc_ver(),
        python=(python.major, python.minor, python.micro),
        cpu=read_cpu(),
        memory=read_memory(),
        packages=installed(),
        neuron=neuron.look(os.environ),
        artifacts_folder=str(artifacts),
        artifacts=found,
        absent=tuple(d for d in allowed if not any(a.identity.startswith(d) for a in found)),
        disk_free_bytes=shutil.disk_usage(_existing(artifacts)).free,
        metadata=_metadata(),
    )


def _metadata() -> Metadata:
    address = spot.endpoint(os.environ, ROOT)
    return Metadata(address, spot.trouble(address)) if address else Metadata()


def _artifacts(
    folder: Path, on_step: Callable[[str], None], allowed: tuple[str, ...]
) -> Iterator[ArtifactFacts]:
    """Whatever was an artifact once; hidden folders are being made."""
    if not folder.is_dir():
        return
    for one in sorted(folder.iterdir()):
        parts = (one / MANIFEST, one / "programs")
        if not one.name.startswith(".") and any(part.exists() for part in parts):
            on_step(one.name)
            yield _artifact(one, allowed)


def _artifact(folder: Path, allowed: tuple[str, ...]) -> ArtifactFacts:
    try:
        artifact = read_artifact(folder)
        if allowed and not artifact.identity.startswith(allowed):
            raise ArtifactError(
                f"its identity {artifact.identity[:12]}... is none of the given identities"
            )
        files = [file for program in artifact.manifest.programs for file in program.files]
        for file in files:
            artifact.open_files([file])
        m = artifact.manifest
        return ArtifactFacts(
            folder.name,
            m.target,
            m.precision,
            state(artifact),
            "",
            sum(file.size_bytes for file in files),
            artifact.identity,
            _makes(m),
        )
    except ArtifactError as error:
        return ArtifactFacts(folder.name, "", "", DAMAGED, str(error), 0)


def _makes(manifest: Manifest) -> str:
    """What an artifact gives that depth front ends do not serve; "" for depth."""
    masks = any(output.kind == INSTANCE_MASKS for output in manifest.outputs)
    return "masks of instances, for `python main.py masks`" if masks else ""


def _distribution() -> str:
    for line in (text_of(Path("/etc/os-release")) or "").splitlines():
        name, _, value = line.partition("=")
        if name == "PRETTY_NAME":
            return value.strip('"')
    return platform.system()


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    resolved = path.resolve()
    return next(each for each in (resolved, *resolved.parents) if each.exists())
