"""The folder that compile/ writes and serve/ reads: format 2, specified in README.md.

Standard library only. A folder is refused unless its manifest has exactly the known fields and
every file it names lies inside it with the stated size; a file's hash is checked before its
bytes are handed out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

from depth.artifact.anchor import IDENTITY_DIGITS, check_identity
from depth.artifact.checks import build_command, check, check_size, private
from depth.artifact.program import OutputFacts, Program, ProgramFile, ProgramKey, joined
from depth.artifact.steps import RunStage, Step
from depth.artifact.strict_json import decode, parse_object
from depth.errors import ArtifactError, InputError
from depth.files import read_regular, sha256_bytes
from depth.sizes import SizeRule

FORMAT = 2
MANIFEST = "manifest.json"
REPORTS = ("report.json", "report.md")  # for people, not for serving
MAX_MANIFEST_BYTES = 4 << 20


@dataclass(frozen=True)
class CheckpointFacts:
    file: str  # file name, or "untrained"
    sha256: str
    licence: str


@dataclass(frozen=True)
class Views:
    least: int
    most: int


@dataclass(frozen=True)
class Gate:
    """Largest errors that pass, by output and name; `passed` is null until it was measured."""

    limits: Mapping[str, Mapping[str, float]]
    passed: Optional[bool]


@dataclass(frozen=True)
class Manifest:
    format: int
    family: str
    model: str
    checkpoint: CheckpointFacts
    target: str
    precision: str
    flags: tuple[str, ...]  # of the compiler and the runtime
    versions: Mapping[str, str]  # of everything that made it
    views: Views
    size: SizeRule
    steps: tuple[Step, ...]  # from image file to result
    outputs: tuple[OutputFacts, ...]
    programs: tuple[Program, ...]
    gate: Gate

    @property
    def runs(self) -> tuple[str, ...]:
        """The stages that the steps name, first to last."""
        return tuple(step.stage for step in self.steps if isinstance(step, RunStage))

    def stages(self, key: ProgramKey) -> tuple[Program, ...]:
        """The programs to run in order for this key; () if the artifact has no whole chain.

        One program of the key's stage, or several that are joined by the names of their tensors,
        from the images to every output.
        """
        wanted = (key.size, key.batch, key.views)
        alike = [p for p in self.programs if (p.size, p.batch, p.views) == wanted]
        for program in alike:
            if program.stage == key.stage:
                return (program,)
        return joined(alike, self.outputs) if self.runs == (key.stage,) else ()

    @property
    def keys(self) -> tuple[ProgramKey, ...]:
        """Every size, batch and number of views that can be run whole."""
        shapes = dict.fromkeys((p.size, p.batch, p.views) for p in self.programs)
        found = (ProgramKey(*size, b, s, stage) for size, b, s in shapes for stage in self.runs)
        return tuple(key for key in found if self.stages(key))

    def identity(self) -> str:
        """SHA-256 of the manifest without its measured figures."""
        data = self.as_json()
        for program in data["programs"]:
            del program["measured"]
        return sha256_bytes(_dumped(data))

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "steps": [step.as_json() for step in self.steps]}


def folder_name(manifest: Manifest, identity: str) -> str:
    """The name of an artifact's folder. Its last part is the beginning of the identity."""
    digits = identity[:IDENTITY_DIGITS]
    return f"{manifest.model}-{manifest.target}-{manifest.precision}-{digits}"


@dataclass(frozen=True)
class Artifact:
    folder: Path
    manifest: Manifest
    identity: str  # Manifest.identity()
    manifest_sha256: str  # of the whole manifest.json

    def open_files(self, files: Sequence[ProgramFile]) -> list[memoryview]:
        """Read-only copies of program files in memory, whose hashes were checked.

        Raises ArtifactError if a file is missing or is not what the manifest says.
        """
        views = private(self.folder, files)
        for file, digest in zip(files, map(sha256_bytes, views)):
            if digest != file.sha256:
                raise ArtifactError(
                    f"{self.folder / file.path}: sha256 {digest[:12]}..., the manifest says "
                    f"{file.sha256[:12]}...; the file is damaged or altered: delete "
                    f"{self.folder}, and compile or copy it again"
                )
        return views


def read_artifact(folder: Path, identity: Optional[str] = None) -> Artifact:
    """Read and check a manifest, and that its files are there with the stated sizes.

    identity  the expected identity, or its first 12 digits or more
    The digits in the folder's name are compared in any case. Raises ArtifactError that says what is
    wrong and what to do, and InputError if `identity` is no identity.
    """
    if folder.parts[:1] == ("s3:",):
        bucket, name = "/".join(folder.parts[1:-1]), folder.name
        raise ArtifactError(
            f"s3://{bucket}/{name}: not a folder; pull the artifact first: `python -m compile pull "
            f"{name} --store s3://{bucket}`"
        )
    path = folder / MANIFEST
    try:
        data = read_regular(path, MAX_MANIFEST_BYTES)
    except OSError as error:
        if folder.parts[:1] == ("s3:",):
            raise ArtifactError(
                f"s3://{'/'.join(folder.parts[1:])}: expected a folder of this machine; pull it "
                "first: python -m serve pull NAME --store s3://bucket/prefix"
            ) from None
        raise ArtifactError(
            f"{folder}: no readable {MANIFEST}; make an artifact with `python -m compile build` "
            f"({error.strerror})"
        ) from None
    manifest = parse_manifest(data, str(path))
    found = manifest.identity()
    check_identity(folder, found, identity)
    for program in manifest.programs:
        for file in program.files:
            check_size(folder, file)
    return Artifact(folder, manifest, found, sha256_bytes(data))


def read_artifacts(
    folders: Sequence[Path], identities: Optional[Sequence[str]] = None
) -> list[Artifact]:
    """As `read_artifact`, for several folders and an identity for each, in their order, or none."""
    if identities and len(identities) != len(folders):
        raise InputError(
            f"--identity: {len(identities)} given for {len(folders)} artifacts; give one for each"
        )
    expected: Sequence[Optional[str]] = identities or [None] * len(folders)
    return list(map(read_artifact, folders, expected))


def parse_manifest(data: bytes, where: str) -> Manifest:
    """A manifest from its bytes; raises ArtifactError on anything but format 2 as specified."""
    try:
        found = parse_object(data)
        if found.get("format") != FORMAT:
            raise ArtifactError(
                f"{where}: format {found.get('format')!r}, this version reads {FORMAT}; compile "
                f"it again: {build_command(found)}"
            )
        manifest = decode(Manifest, found)
        check(manifest)
        return manifest
    except ValueError as error:
        raise ArtifactError(f"{where}: {error}; compile again") from error


def dump_manifest(manifest: Manifest) -> bytes:
    """The bytes of manifest.json: fixed order, so that equal manifests have equal hashes."""
    return _dumped(manifest.as_json())


def _dumped(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, indent=2, sort_keys=True, allow_nan=False).encode() + b"\n"
