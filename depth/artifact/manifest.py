"""The folder that compile/ writes and serve/ reads: format 1, specified in compile/README.md.

Standard library only. A folder is refused unless its manifest has exactly the known fields and
every file it names lies inside it with the stated size; a file's hash is checked before its
bytes are handed out.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Optional

from depth.artifact.strict_json import decode, parse_object
from depth.errors import ArtifactError
from depth.files import sha256_bytes

FORMAT = 1
FUSED, ENCODER, DECODER = "fused", "encoder", "decoder"  # stages
MANIFEST = "manifest.json"
REPORTS = ("report.json", "report.md")  # for people, not for serving
IDENTITY_DIGITS = 12  # of the identity, in a folder's name
_MAX_MANIFEST_BYTES = 4 << 20


@dataclass(frozen=True)
class ProgramFile:
    path: str  # relative to the artifact's folder, with forward slashes
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class ParityNumbers:
    """The worst of all test images, as measured by compile/parity/measure.py."""

    max_rel: float
    mean_rel: float
    abs_rel: float
    delta1: float
    rank_correlation: Optional[float]  # None if no test image gave varying depth


@dataclass(frozen=True)
class Program:
    """One compiled graph, float32 in and out.

    `fused`: images [batch,3,H,W] to depth [batch,H,W]. `encoder`: images to features
    [batch,h*w,4*D], the four token maps side by side. `decoder`: these features to depth.
    """

    stage: str
    height_px: int
    width_px: int
    batch: int
    input_dtype: str
    output_dtype: str
    files: tuple[ProgramFile, ...]  # the first one is the entry point
    parity: Optional[ParityNumbers]  # None if its numbers can only be told on the device

    @property
    def size(self) -> tuple[int, int]:
        return self.height_px, self.width_px

    @property
    def name(self) -> str:
        stage = "" if self.stage == FUSED else f"-{self.stage}"
        return f"{self.height_px}x{self.width_px}-b{self.batch}{stage}"


@dataclass(frozen=True)
class CheckpointFacts:
    file: str  # file name, or "untrained"
    sha256: str
    licence: str


@dataclass(frozen=True)
class Preprocess:
    mode: str  # "reference"
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    short_side_px: int
    multiple_px: int
    folded: tuple[str, ...]  # steps that the programs do themselves


@dataclass(frozen=True)
class ParityLimit:
    max_rel: float
    mean_rel: float
    passed: Optional[bool]  # None: not measured yet, see depth/artifact/verification.py


@dataclass(frozen=True)
class Manifest:
    format: int
    family: str
    model: str
    kind: str  # "relative_inverse" or "metric"
    max_depth_m: Optional[float]
    checkpoint: CheckpointFacts
    preprocess: Preprocess
    target: str
    precision: str
    compiler_flags: tuple[str, ...]
    versions: Mapping[str, str]  # of everything that made it
    parity_limit: ParityLimit
    programs: tuple[Program, ...]

    def stages(self, size: tuple[int, int], batch: int = 1) -> tuple[Program, ...]:
        """What to run one after the other, for exactly this (height, width) in px and batch size.

        One fused program, or encoder and decoder, or nothing.
        """
        found = {p.stage: p for p in self.programs if p.size == size and p.batch == batch}
        for stages in ((FUSED,), (ENCODER, DECODER)):
            if all(stage in found for stage in stages):
                return tuple(found[stage] for stage in stages)
        return ()


def folder_name(manifest: Manifest, identity: str) -> str:
    """What an artifact's folder is called; the last part tells artifacts of one kind apart."""
    digits = identity[:IDENTITY_DIGITS]
    return f"{manifest.model}-{manifest.target}-{manifest.precision}-{digits}"


@dataclass(frozen=True)
class Artifact:
    folder: Path
    manifest: Manifest
    identity: str  # sha256 of manifest.json

    def open_file(self, file: ProgramFile) -> memoryview:
        """The bytes of one program file, mapped read-only, after its hash was checked.

        Raises ArtifactError if the file is missing or is not what the manifest says.
        """
        path = _inside(self.folder, file.path)
        try:
            with path.open("rb") as opened:
                mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{path}: cannot be read ({error}); compile again") from error
        view = memoryview(mapped)
        digest = sha256_bytes(view)
        if digest != file.sha256:
            raise ArtifactError(
                f"{path}: sha256 {digest[:12]}..., the manifest says {file.sha256[:12]}...; the "
                f"file is damaged or altered: delete {self.folder}, and compile or copy it again"
            )
        return view


def read_artifact(folder: Path) -> Artifact:
    """Read and check a manifest, and that its files are there with the stated sizes.

    Raises ArtifactError that says what is wrong and what to do.
    """
    path = folder / MANIFEST
    try:
        if path.stat().st_size > _MAX_MANIFEST_BYTES:
            raise ArtifactError(f"{path}: over {_MAX_MANIFEST_BYTES} bytes; not a manifest")
        data = path.read_bytes()
    except OSError:
        raise ArtifactError(
            f"{folder}: no readable {MANIFEST}; make an artifact with `python -m compile build`"
        ) from None
    manifest = parse_manifest(data, str(path))
    for program in manifest.programs:
        for file in program.files:
            _check_size(folder, file)
    return Artifact(folder, manifest, sha256_bytes(data))


def parse_manifest(data: bytes, where: str) -> Manifest:
    """A manifest from its bytes; raises ArtifactError on anything but format 1 as specified."""
    try:
        found = parse_object(data)
        if found.get("format") != FORMAT:
            raise ArtifactError(
                f"{where}: format {found.get('format')!r}, this version reads {FORMAT}; "
                "compile again with this version, or use the version that made it"
            )
        manifest = decode(Manifest, found)
        if not manifest.programs or not all(program.files for program in manifest.programs):
            raise ValueError("no programs, or one without files")
        return manifest
    except ValueError as error:
        raise ArtifactError(f"{where}: {error}; compile again") from error


def dump_manifest(manifest: Manifest) -> bytes:
    """The bytes of manifest.json: fixed order, so that equal manifests have equal hashes."""
    text = json.dumps(asdict(manifest), indent=2, sort_keys=True, allow_nan=False)
    return text.encode() + b"\n"


def _check_size(folder: Path, file: ProgramFile) -> None:
    path = _inside(folder, file.path)
    if not path.is_file():
        raise ArtifactError(f"{path}: missing; compile or copy the artifact again")
    found = path.stat().st_size
    if found != file.size_bytes:
        raise ArtifactError(
            f"{path}: {found} bytes, the manifest says {file.size_bytes}; "
            "compile or copy the artifact again"
        )


def _inside(folder: Path, name: str) -> Path:
    """`folder / name`, refused if it could lead anywhere else."""
    pure = PurePosixPath(name)
    root = folder.resolve()
    try:
        path = (root / pure).resolve()
    except (ValueError, RuntimeError, OSError) as error:  # a zero byte, links in a circle
        raise ArtifactError(f"{folder}: file path {name!r} is not usable: {error}") from error
    if pure.is_absolute() or ".." in pure.parts or "\\" in name or root not in path.parents:
        raise ArtifactError(f"{folder}: file path {name!r} leads out of the folder; refused")
    return path


Size = tuple[int, int]  # (height, width) px


class ProgramKey(NamedTuple):
    """One program of an artifact, all its stages together."""

    height_px: int
    width_px: int
    batch: int

    @property
    def size(self) -> Size:
        return self.height_px, self.width_px

    @property
    def name(self) -> str:
        return f"{self.height_px}x{self.width_px}-b{self.batch}"
