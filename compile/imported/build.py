"""A user's file of ONNX becomes an artifact: checked, packed or converted, proven, packaged."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Callable, Optional, Protocol, cast

from compile.build.package import new_artifact, package, surroundings
from compile.errors import ParityError
from compile.imported.contract import Contract, contract_of, open_size
from compile.imported.parity import (
    Compared,
    compare,
    limits_of,
    probes,
    problem_of,
    reference_of,
    worst,
)
from compile.imported.report import write_reports
from compile.parity.inputs import Picture, printable
from compile.source import imported_sha256
from compile.targets.onnx_file import OnnxFile, read_file
from compile.targets.protocols import HostBuilder, Ports
from compile.targets.table import builder, host_target
from depth.artifact.manifest import FORMAT, CheckpointFacts, Gate, Manifest, Views
from depth.artifact.program import OutputFacts, Program, ProgramFile, Tensor, program_name
from depth.artifact.steps import DecodeYolov8Seg, Do, Letterbox, Normalise, RunStage
from depth.errors import InputError
from depth.family import FUSED, INSTANCE_MASKS
from depth.files import sha256_file
from depth.sizes import ONCE, UPPER, Size, SizeRule
from depth.steps.instances import PROTOTYPE_PX, STRIDES, class_indices

FAMILY = "imported"  # of no package: what a manifest says of a user's file
TARGETS = ("openvino", "onnx")
PRECISION = "fp32"
LETTERBOX = Letterbox()
NORMALISE = Normalise((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))  # levels to 0..1

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class Importer(HostBuilder, Protocol):
    """The module of a target that takes files of others."""

    def import_file(self, given: Path, stem: Path) -> list[Path]:
        """As `HostBuilder.build`, from a file of ONNX."""

    def runtime_versions(self) -> dict[str, str]:
        """Name and version of the package that runs the program."""


@dataclass(frozen=True)
class Import:
    """What is to be imported.

    name         of the model; by default from the file's name
    names        of its classes, in place of those in its metadata
    wanted       classes that a caller gets without naming any; () for all
    photographs  for the parity gate, beside its own test images
    force        write the artifact although its parity failed
    size         (height, width) px, of a file that leaves them open; by default by its metadata
    """

    file: Path
    target: str = TARGETS[0]
    name: Optional[str] = None
    names: Optional[Sequence[str]] = None
    wanted: Sequence[str] = ()
    photographs: Sequence[Picture] = ()
    force: bool = False
    size: Optional[Size] = None


def import_masks(asked: Import, out: Path, on_step: Callable[[str], None] = lambda _: None) -> Path:
    """Check, pack and prove a file; returns the artifact's folder in `out`.

    Raises InputError for a file that does not keep the contract, BuildError if it cannot be
    converted or run, ParityError if the saved program is too far from the file (unless forced).
    Nothing is left in `out` then.
    """
    target = host_target(asked.target, PRECISION)
    if target.name not in TARGETS:
        raise InputError(f"target {target.name!r}: a file is imported for {' or '.join(TARGETS)}")
    on_step(f"reading {asked.file.name}")
    file = read_file(asked.file, partial(open_size, asked.size))
    try:
        contract = contract_of(file, asked.names, asked.size)
    except InputError as error:
        raise InputError(f"{asked.file}: {error}") from error
    step = _decode(contract, asked.wanted)
    model = _model_name(asked.file) if asked.name is None else asked.name
    if not _NAME.fullmatch(model):
        raise InputError(f"--name {model!r}: expected up to 64 of a-z, 0-9, dot, dash, underscore")
    maker = cast(Importer, builder(target))
    with new_artifact(out) as folder:
        ports = Ports((contract.images,), (contract.detections, contract.prototypes), ("float32",))
        given, reference = reference_of(file.data, folder.parent, ports)
        on_step(f"making the program for {target.name}")
        started = time.perf_counter()
        stem = folder / "programs" / program_name(FUSED, contract.size, 1)
        files = maker.import_file(given, stem)
        build_s = time.perf_counter() - started
        on_step("checking it against the file")
        run = maker.load(files, ports, PRECISION)
        tests = probes(contract.size, LETTERBOX, NORMALISE, asked.photographs)
        found = compare(step, contract.images, reference, run, tests)
        problem = problem_of(worst(found), limits_of(step))
        if problem and not asked.force:
            raise ParityError(problem)
        program = _program(contract, files, found)
        manifest = _manifest(asked, file, contract, step, model, maker, program, not problem)
        write_reports(folder, manifest, found, build_s)
        return package(folder, manifest, out)


def _decode(contract: Contract, wanted: Sequence[str]) -> DecodeYolov8Seg:
    step = DecodeYolov8Seg(
        contract.classes, tuple(wanted), contract.detections, contract.prototypes
    )
    class_indices(step, wanted)
    return step


def _model_name(path: Path) -> str:
    name = re.sub(r"[^a-z0-9._-]+", "-", path.stem.lower()).strip("-._")
    return name[:64] or "masks"


def _program(contract: Contract, files: Sequence[Path], found: Sequence[Compared]) -> Program:
    height, width = contract.size
    return Program(
        name=program_name(FUSED, contract.size, 1),
        stage=FUSED,
        shape={
            "B": 1,
            "S": 1,
            "H": height,
            "W": width,
            "K": 4 + len(contract.classes) + contract.count,
            "N": contract.cells,
            "P": contract.count,
            "h": height // PROTOTYPE_PX,
            "w": width // PROTOTYPE_PX,
        },
        inputs=(Tensor(contract.images, "B3HW", "float32"),),
        outputs=(
            Tensor(contract.detections, "BKN", "float32"),
            Tensor(contract.prototypes, "BPhw", "float32"),
        ),
        files=tuple(
            ProgramFile(f"programs/{file.name}", sha256_file(file), file.stat().st_size)
            for file in files
        ),
        measured=worst(found),
    )


def _manifest(
    asked: Import,
    file: OnnxFile,
    contract: Contract,
    step: DecodeYolov8Seg,
    model: str,
    maker: Importer,
    program: Program,
    passed: bool,
) -> Manifest:
    outputs = ((contract.detections, "BKN"), (contract.prototypes, "BPhw"))
    checkpoint = CheckpointFacts(printable(asked.file.name), file.sha256, contract.licence)
    return Manifest(
        format=FORMAT,
        family=FAMILY,
        model=model,
        checkpoint=checkpoint,
        target=asked.target,
        precision=PRECISION,
        flags=(f"opset={file.opset}", *file.changes),
        versions={**surroundings(imported_sha256(asked.target)), **maker.runtime_versions()},
        views=Views(1, 1),
        size=SizeRule(UPPER, max(contract.size), STRIDES[-1], ONCE),
        steps=(Do(LETTERBOX), Do(NORMALISE), RunStage(FUSED), Do(step)),
        outputs=tuple(
            OutputFacts(name, INSTANCE_MASKS, None, axes, None, None) for name, axes in outputs
        ),
        programs=(program,),
        gate=Gate(limits_of(step), passed),
    )
