"""Rules about processor, memory, disk, and the artifacts at hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

from depth.artifact.verification import BUILT, FAILED
from depth.chips import INF1, INF2
from depth.errors import EXTRAS, how_to_install
from serve.doctor.facts import DAMAGED, ArtifactFacts, Facts, Metadata
from serve.doctor.findings import NOTE, OK, PROBLEM, WARNING, Finding

_GIB = 2**30
_LOW_MEMORY_BYTES = 2 * _GIB  # a program of vits at 518 px takes about 0.5 GB, reading images too
_LOW_DISK_BYTES, _NO_DISK_BYTES = _GIB, _GIB // 10
_BF16 = {"avx512_bf16", "amx_bf16"}
_PACKAGES = {  # target -> the Python package that runs it
    "openvino": "openvino",
    "onnx": "onnxruntime",
    "torchscript": "torch",
    INF1: "torch-neuron",
    INF2: "torch-neuronx",
}


@dataclass(frozen=True)
class Remark:
    level: str
    text: str
    advice: str


def host_findings(facts: Facts) -> Iterator[Finding]:
    """System, processor, memory, disk, and on EC2 its metadata service."""
    yield Finding(OK, "system", f"{facts.system}, {' '.join(facts.libc)}")
    yield _cpu(facts)
    yield _memory(facts)
    yield _disk(facts)
    if facts.metadata.address:
        yield _spot_notices(facts.metadata)


def _cpu(facts: Facts) -> Finding:
    cpu = facts.cpu
    said = f"{cpu.model}, {cpu.cores} cores, {', '.join(cpu.features) or 'not even avx2'}"
    if "avx2" not in cpu.features:
        return Finding(
            WARNING,
            "cpu",
            f"{said}: CPU targets will be slow",
            "use a processor with AVX2, better AVX-512 or AMX",
        )
    return Finding(OK, "cpu", said)


def _memory(facts: Facts) -> Finding:
    memory = facts.memory
    said = f"{memory.total_bytes / _GIB:.1f} GiB, {memory.available_bytes / _GIB:.1f} GiB available"
    if memory.available_bytes < _LOW_MEMORY_BYTES:
        return Finding(
            WARNING,
            "memory",
            f"{said}: a loaded program of vits takes about 0.5 GiB, of vitl 3 GiB",
            "serve fewer sizes, a smaller model, or give the machine or container more",
        )
    return Finding(OK, "memory", said)


def _disk(facts: Facts) -> Finding:
    free = facts.disk_free_bytes
    said = f"{free / _GIB:.1f} GiB free for {facts.artifacts_folder}"
    advice = "delete artifacts that are not used, or put them on another disk"
    if free < _NO_DISK_BYTES:
        return Finding(PROBLEM, "disk", f"{said}: too little for a single program", advice)
    if free < _LOW_DISK_BYTES:
        return Finding(WARNING, "disk", f"{said}: programs of vits take 0.1 GiB each", advice)
    return Finding(OK, "disk", said)


def _spot_notices(metadata: Metadata) -> Finding:
    if metadata.trouble:
        return Finding(
            WARNING,
            "spot",
            f"a notice that the instance is taken back would not be seen: {metadata.address}: "
            f"{metadata.trouble}",
            "in a container set the instance's metadata hop limit to 2: aws ec2 "
            "modify-instance-metadata-options --http-put-response-hop-limit 2 --instance-id ...",
        )
    return Finding(OK, "spot", f"notices are looked for at {metadata.address}")


def artifact_findings(facts: Facts) -> Iterator[Finding]:
    """A line for each artifact; one note if there is none."""
    if not facts.artifacts:
        yield Finding(
            NOTE,
            "artifacts",
            f"none in {facts.artifacts_folder}; `make compile` or `make inference` makes some",
        )
    for digits in facts.absent:
        yield Finding(
            PROBLEM,
            "artifacts",
            f"none in {facts.artifacts_folder} has the identity {digits[:12]}...",
            f"python -m serve pull {digits[:12]} --store s3://bucket/prefix",
        )
    for artifact in facts.artifacts:
        remark = _remark(artifact, facts)
        text = f"{artifact.folder}: {artifact.state}, {artifact.size_bytes / 1e6:.0f} MB"
        text += f", {artifact.makes}" if artifact.makes else ""
        if remark is None:
            yield Finding(OK, "artifact", text)
        else:
            yield Finding(remark.level, "artifact", f"{text}; {remark.text}", remark.advice)


def _remark(artifact: ArtifactFacts, facts: Facts) -> Optional[Remark]:
    if artifact.state == DAMAGED:
        return Remark(PROBLEM, artifact.reason, "delete its folder; compile or copy it again")
    if artifact.state == FAILED:
        return Remark(
            WARNING,
            "its numbers are wrong, serving refuses it",
            "compile it again with another precision, or delete its folder",
        )
    return _elsewhere(artifact, facts) or _not_yet(artifact) or _slow(artifact, facts)


def _elsewhere(artifact: ArtifactFacts, facts: Facts) -> Optional[Remark]:
    """Something that it runs on is missing."""
    if artifact.target in (INF1, INF2) and facts.neuron.chip != artifact.target:
        return Remark(NOTE, f"runs on {artifact.target} only, not here", "")
    package = _PACKAGES.get(artifact.target)
    if package is None:
        return Remark(
            WARNING,
            f"target {artifact.target} is unknown to this version",
            "serve it with the version that made it",
        )
    if facts.version(package) is None:
        remedy = how_to_install(package) if package in EXTRAS else "run `make setup`"
        return Remark(WARNING, f"{package} is not installed, which runs it", remedy)
    return None


def _not_yet(artifact: ArtifactFacts) -> Optional[Remark]:
    if artifact.state != BUILT:
        return None
    return Remark(
        WARNING,
        "its numbers were never measured, serving refuses it",
        f"python -m compile parity {artifact.folder} --on-device",
    )


def _slow(artifact: ArtifactFacts, facts: Facts) -> Optional[Remark]:
    if artifact.precision != "bf16" or _BF16 & set(facts.cpu.features):
        return None
    return Remark(
        WARNING,
        "bf16 on a processor without it is slower than fp32",
        "compile it with --precision fp32",
    )
