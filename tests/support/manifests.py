"""Manifests and artifacts of format 2 that are made up: nothing is compiled, no model is asked for.

made_manifest()                                   one fused program of a relative model, 28x42 px
made_manifest([ProgramKey(28, 42, 4)], **changes) other programs, other fields
made_artifact(manifest)                           without a folder: nothing of it can be opened
written(folder, manifest)                         with a folder whose files have `CONTENT`
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

from depth.artifact.manifest import (
    FORMAT,
    MANIFEST,
    Artifact,
    CheckpointFacts,
    Gate,
    Manifest,
    Views,
    dump_manifest,
    read_artifact,
)
from depth.artifact.program import (
    OutputFacts,
    Program,
    ProgramFile,
    ProgramKey,
    Tensor,
    program_name,
)
from depth.artifact.steps import (
    Do,
    HostStep,
    MetresFromFocal,
    Normalise,
    Resize,
    ResizeBack,
    RunStage,
    SkyToFar,
    Step,
)
from depth.files import sha256_bytes
from depth.sizes import LOWER, ONCE, TWICE, UPPER, SizeRule

CONTENT = b"a program"  # of every file that `written` makes
IMAGES = Tensor("images", "B3HW", "float32")
DEPTH = Tensor("depth", "BHW", "float32")
SKY = Tensor("sky", "BHW", "float32")
FEATURES = Tensor("features", "BNC", "float32")
NORMALISE = Normalise((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
RELATIVE_OUTPUTS = (OutputFacts("depth", "relative_inverse", None, "BHW", None, None),)
METRIC_OUTPUTS = (OutputFacts("depth", "metres", None, "BHW", "m", 20.0),)
SKY_OUTPUTS = (
    OutputFacts("depth", "focal_normalised", "metres", "BHW", None, None),
    OutputFacts("sky", "sky", None, "BHW", None, None),
)
LOWER_28 = SizeRule(LOWER, 28, 14, ONCE)
UPPER_56 = SizeRule(UPPER, 56, 14, TWICE)


def steps_of(
    before: Sequence[HostStep], after: Sequence[HostStep], stage: str = "fused"
) -> tuple[Step, ...]:
    """The steps of a model of single images: pixels, one run, maps."""
    return (*map(Do, before), RunStage(stage), *map(Do, after))


V2_STEPS = steps_of(
    (Resize("cubic", "cubic", "float64", 1), NORMALISE), (ResizeBack("bilinear", True),)
)
FOLDED_STEPS = steps_of(  # the program normalises
    (Resize("cubic", "cubic", "float64", 1),), (ResizeBack("bilinear", True),)
)
DA3_STEPS = steps_of(
    (Resize("cubic", "area", "uint8", 2), NORMALISE),
    (SkyToFar(0.3, 0.99, 10, 100_000, 0), MetresFromFocal(300.0), ResizeBack("bilinear", True)),
)


def made_program(
    key: ProgramKey,
    inputs: Sequence[Tensor] = (IMAGES,),
    outputs: Sequence[Tensor] = (DEPTH,),
    letters: Optional[Mapping[str, int]] = None,
    files: int = 1,
    measured: bool = True,
) -> Program:
    """A program of the key's stage; `letters`: sizes of further axes. It names files of CONTENT."""
    name = program_name(key.stage, key.size, key.batch, key.views)
    shape = {"B": key.batch, "S": key.views, "H": key.height_px, "W": key.width_px}
    numbers = {tensor.name: {"max_rel": 1e-5, "mean_rel": 1e-6} for tensor in outputs}
    return Program(
        name,
        key.stage,
        {**shape, **(letters or {})},
        tuple(inputs),
        tuple(outputs),
        tuple(
            ProgramFile(f"programs/{name}.{i}", sha256_bytes(CONTENT), len(CONTENT))
            for i in range(files)
        ),
        numbers if measured else None,
    )


def made_split(key: ProgramKey, tokens: int = 6, width: int = 96) -> tuple[Program, Program]:
    """Encoder and decoder, joined by `features` [B,tokens,width]; both have the chain's figures."""
    letters = {"N": tokens, "C": width}
    decoder = made_program(key._replace(stage="decoder"), (FEATURES,), (DEPTH,), letters)
    encoder = made_program(key._replace(stage="encoder"), (IMAGES,), (FEATURES,), letters)
    return replace(encoder, measured=decoder.measured), decoder


def made_manifest(
    keys: Iterable[ProgramKey] = (ProgramKey(28, 42, 1),),
    target: str = "openvino",
    precision: str = "fp32",
    outputs: Sequence[OutputFacts] = RELATIVE_OUTPUTS,
    **changes: Any,
) -> Manifest:
    """A manifest whose fused programs give `outputs`; `changes` are other fields of Manifest."""
    given = tuple(Tensor(output.name, output.axes, "float32") for output in outputs)
    made = Manifest(
        format=FORMAT,
        family="depth_anything_v2",
        model="demo",
        checkpoint=CheckpointFacts("demo.safetensors", "0" * 64, "Apache-2.0"),
        target=target,
        precision=precision,
        flags=(),
        versions={target: "1.0"},
        views=Views(1, 1),
        size=LOWER_28,
        steps=V2_STEPS,
        outputs=tuple(outputs),
        programs=tuple(made_program(key, outputs=given) for key in keys),
        gate=Gate({output.name: {"max_rel": 5e-4, "mean_rel": 1e-5} for output in outputs}, True),
    )
    return replace(made, **changes)


def sky_manifest(keys: Iterable[ProgramKey] = (ProgramKey(28, 42, 1),), **changes: Any) -> Manifest:
    """A model that gives depth and sky, and metres once a focal length is known."""
    return made_manifest(
        keys,
        outputs=SKY_OUTPUTS,
        **{"model": "sky", "steps": DA3_STEPS, "size": UPPER_56, **changes},
    )


def made_artifact(manifest: Manifest, folder: Path = Path("nowhere")) -> Artifact:
    """An artifact without files."""
    data = dump_manifest(manifest)
    return Artifact(folder, manifest, manifest.identity(), sha256_bytes(data))


def rewritten(artifact: Artifact, **changes: Any) -> Artifact:
    """The same folder with other fields in its manifest, and its files as they are now."""
    manifest = replace(artifact.manifest, **changes)
    programs = []
    for program in manifest.programs:
        data = [(file.path, (artifact.folder / file.path).read_bytes()) for file in program.files]
        files = tuple(ProgramFile(path, sha256_bytes(d), len(d)) for path, d in data)
        programs.append(replace(program, files=files))
    changed = dump_manifest(replace(manifest, programs=tuple(programs)))
    (artifact.folder / MANIFEST).write_bytes(changed)
    return read_artifact(artifact.folder)


def written(folder: Path, manifest: Manifest, content: bytes = CONTENT) -> Artifact:
    """An artifact in a folder, read back; its program files have this content."""
    programs = tuple(
        replace(
            program,
            files=tuple(
                ProgramFile(file.path, sha256_bytes(content), len(content))
                for file in program.files
            ),
        )
        for program in manifest.programs
    )
    for program in programs:
        for file in program.files:
            path = folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    (folder / MANIFEST).write_bytes(dump_manifest(replace(manifest, programs=programs)))
    return read_artifact(folder)
