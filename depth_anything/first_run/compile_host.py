"""What is tried on the compile host, from what costs least to what costs most.

The tool chain is tried on networks of one layer and on the demo model, before an instance is rented
and before the compiler runs for hours.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from depth_anything.first_run.extent import Extent
from depth_anything.first_run.places import Places
from depth_anything.first_run.trial import ARTIFACT, COMPILE, Trial, Words

TARGET = "inf1"
MODEL = "vits"
EXPERIMENTS = "depth_anything.first_run.experiments"
DECODER, ENCODER, APART, FUSED = "vits-decoder", "vits-encoder", "vits-apart", "vits-fused"
DEMO = "demo"
# Name -> what is asked for beside the plain build, and what for.
VARIANTS: dict[str, tuple[tuple[str, ...], str]] = {
    "vits-sliced": (("--variant", "attention_blocks=4"), "attention in slices"),
    "vits-conv1x1": (("--variant", "resize=conv1x1"), "resizing as 1x1 convolutions"),
    "vits-relayout": (("--precision", "matmult-fp16-relayout"), "fast, lossy transposes"),
    "vits-fp16-input": (("--variant", "input=fp16"), "images handed over in float16"),
}
TRANSFERS = ("fp32", "fp16", "uint8")


def grid_name(size: str) -> str:
    return f"vits-{size}"


def compile_trials(extent: Extent, places: Places) -> Iterator[Trial]:
    """Every trial of the compile host, in order."""
    limit_s = extent.other_limit_s
    yield _experiment("facts", "the machine, and its packages", limit_s)
    yield _experiment("operators", "the SDK's list of operators against ours", limit_s)
    yield _experiment(
        "one-layer",
        "a network of one layer, in every mode of the compiler",
        extent.compile_limit_s,
        *("--limit-s", str(limit_s)),
    )
    yield _experiment(
        "transfer",
        "programs that only hand over an image, in float32, float16 and uint8",
        extent.compile_limit_s,
        *("make", str(transfer_folder(places.results)), extent.transfer_size),
    )
    yield _built(DEMO, "the demo model, whole", extent, places, DEMO, extent.demo_size)
    yield from weights_trials(extent, places)
    yield _stage(DECODER, "decoder", extent, places)
    yield _stage(ENCODER, "encoder", extent, places)
    size = extent.size
    yield _built(APART, "encoder and decoder apart", extent, places, MODEL, size, "--split")
    yield _built(FUSED, "encoder and decoder in one program", extent, places, MODEL, size)
    for name, (words, about) in VARIANTS.items():
        yield _built(name, about, extent, places, MODEL, size, *words)
    for grid in extent.grids:
        yield _built(grid_name(grid), f"the size {grid}", extent, places, MODEL, grid)


def weights_trials(extent: Extent, places: Places) -> Iterator[Trial]:
    """Fetches the published weights, unless others are given."""
    if places.checkpoint is None:
        fetch = ("-m", "depth_anything", "checkpoints", "fetch", MODEL)
        about = f"the published weights of {MODEL}"
        yield Trial("weights", about, extent.other_limit_s, (fetch,))


def transfer_folder(results: Path) -> Path:
    """Where programs that only hand over an image lie: they travel with the results."""
    return results / COMPILE / "transfer-programs"


def _experiment(name: str, about: str, limit_s: float, *words: str) -> Trial:
    module = f"{EXPERIMENTS}.{name.replace('-', '_')}"
    return Trial(name, about, limit_s, (("-m", module, *words),))


def _stage(name: str, stage: str, extent: Extent, places: Places) -> Trial:
    """One stage by itself; the build after it takes the program from the cache."""
    words = ("-m", f"{EXPERIMENTS}.stage", MODEL, extent.size, stage)
    command = (*words, *_weights(MODEL, places), "--timeout-s", str(extent.compile_limit_s))
    about = f"the {stage} alone"
    return Trial(name, about, extent.compile_limit_s + extent.other_limit_s, (command,))


def _built(
    name: str, about: str, extent: Extent, places: Places, model: str, size: str, *words: str
) -> Trial:
    """An artifact, pushed as soon as it is built."""
    build: Words = ("-m", "compile", "build", "--model", model)
    build += ("--target", TARGET, "--size", size)
    build += ("--out", str(places.artifacts), "--images", str(places.images))
    build += ("--timeout-s", str(extent.compile_limit_s), *_weights(model, places), *words)
    push = ("-m", "compile", "push", ARTIFACT, "--store", places.store)
    # Each fallback may take its time.
    limit_s = 3 * extent.compile_limit_s + extent.other_limit_s
    return Trial(name, about, limit_s, (build, push))


def _weights(model: str, places: Places) -> tuple[str, ...]:
    if model == DEMO or places.checkpoint is None:
        return ()
    return ("--checkpoint", places.checkpoint)
