"""Precisions of one model on this CPU: latency in turns, errors, and what `auto` takes.

    python -m tests.benchmarks.precision_auto --model vits --size 518x686 --images FOLDER

Builds every precision that the CPU has as `compile build --precision auto` does, converts the eager
network by OpenVINO alone, and times all of them in turns, for each count of `--threads` in a
process of its own. Matrix products of 2048^3 run in the same rounds. Runs with any torch from 2.5
on, and with Python 3.9 to 3.12. `--json` has every sample.
"""

from __future__ import annotations

import functools
import inspect
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any, Optional, get_origin

import numpy as np
import typer

from compile.build.fastest.build import attempts, images_of
from compile.build.fastest.candidates import candidates
from compile.build.fastest.measure import Samples
from compile.build.request import Request, requested
from compile.macs import count_macs
from compile.products import RESIZE
from compile.specialise import specialise
from compile.targets.table import target_named
from depth.artifact.manifest import Artifact
from depth.cpu import read_cpu
from depth.family import DEPTH
from tests.benchmarks.matrix_products import IN_A_ROW, SIDE
from tests.benchmarks.precision_turns import BY_HAND, FLOATS, IMAGES_FILE, MADE, PRODUCTS

PACKAGES = ("openvino", "nncf", "torch", "numpy")


def main(
    model: str = typer.Option("vits"),
    checkpoint: Optional[str] = typer.Option(None, help="Weights file, or untrained."),
    size: str = typer.Option("518x686", help="HEIGHTxWIDTH in px."),
    images: Path = typer.Option(Path("input_images"), help="Folder of photographs."),
    threads: list[int] = typer.Option([0], help="CPUs to use, 0 for all. Repeatable."),
    rounds: int = typer.Option(9, min=1),
    upstream_s: Optional[float] = typer.Option(None, help="Upstream's time per image."),
    json_file: Optional[Path] = typer.Option(None, "--json", help="Write every sample here."),
    every: bool = typer.Option(
        False, "--every", help="Also int8 on a CPU that multiplies 8-bit numbers no faster."
    ),
) -> None:
    """Print a table for each count of threads. The file is written after each step."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        found = prepare(model, checkpoint, size, images, every, Path(scratch))
        found["build_s"] = round(time.perf_counter() - started, 1)
        _write(json_file, found)
        for line in heading(found):
            typer.echo(line)
        for count in threads:
            result = in_a_process(Path(scratch), count, rounds)
            found["measured"][str(count)] = result
            _write(json_file, found)
            for line in table(found, result, upstream_s):
                typer.echo(line)


def _write(path: Optional[Path], found: Mapping[str, Any]) -> None:
    if path is not None:
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def prepare(
    model: str, checkpoint: Optional[str], size: str, images: Path, every: bool, folder: Path
) -> dict[str, Any]:
    """Artifacts, OpenVINO's own conversion and images in `folder`; returns what is known so far."""
    _take_newer_packages()

    def ask(precision: str, floats: Sequence[str]) -> Request:
        return requested(
            model, "openvino", precision, [size], [1], checkpoint, images, _say, floats
        )

    plain, target = ask("fp32", ()), target_named("openvino")
    rows = [
        (name, "" if every and name in target.calibrated else why)
        for name, why in candidates(target)
    ]
    tried = attempts(ask, plain, rows, folder / "made", _say)
    network = specialise(plain.model, plain.checkpoint, plain.sizes[0])
    shown = images_of(plain)
    _convert(network, shown[0], folder / BY_HAND)
    np.save(folder / IMAGES_FILE, np.stack(shown))
    artifacts = {one.precision: one.artifact for one in tried if one.artifact}
    paths = {name: str(artifact.folder) for name, artifact in artifacts.items()}
    (folder / MADE).write_text(json.dumps(paths))
    macs = count_macs(network, *_examples(plain))
    cpu = read_cpu()
    return {
        "model": model,
        "size": size,
        "gmacs": (sum(macs.values()) - macs[RESIZE]) / 1e9,
        "cpu": asdict(cpu),
        "load": os.getloadavg()[0],
        "versions": {name: metadata.version(name) for name in PACKAGES if _has(name)},
        "errors": {name: _errors(artifact) for name, artifact in artifacts.items()},
        "layers": {name: _layers(artifact) for name, artifact in artifacts.items()},
        "measured": {},
        "left_out": {one.precision: one.left_out for one in tried if one.left_out},
    }


def in_a_process(folder: Path, threads: int, rounds: int) -> dict[str, Any]:
    """Run the turns in a process bound to `threads` CPUs, one of each core first; 0 is all CPUs."""
    chosen = cpus()[: threads or None]
    command = [sys.executable, "-m", "tests.benchmarks.precision_turns", str(folder), str(rounds)]
    _say(f"measure on {len(chosen)} CPUs")
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        preexec_fn=functools.partial(os.sched_setaffinity, 0, chosen),  # noqa: PLW1509
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return {"cpus": chosen, **found}


def cpus() -> list[int]:
    """The CPUs of this process, one of each core first."""
    seen: set[str] = set()
    first: list[int] = []
    second: list[int] = []
    for cpu in sorted(os.sched_getaffinity(0)):
        try:
            topology = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
            core = topology.read_text().strip()
        except OSError:
            core = str(cpu)
        (second if core in seen else first).append(cpu)
        seen.add(core)
    return first + second


def _convert(network: Any, image: Any, path: Path) -> None:
    import openvino as ov
    import torch

    converted = ov.convert_model(network, example_input=torch.from_numpy(image))
    converted.reshape(list(image.shape))
    ov.save_model(converted, path, compress_to_fp16=False)


class _Arrays:
    """numpy.typing.NDArray as NNCF 2.18 knows it, an alias of a class; numpy 2.5 has another."""

    def __class_getitem__(cls, item: Any) -> Any:
        return np.ndarray[Any, np.dtype[item]]


def _take_newer_packages() -> None:
    """Let torch 2.9 and later trace, and let NNCF work with numpy 2.5 and later."""
    import numpy.typing
    import torch

    if "dynamo" in inspect.signature(torch.onnx.export).parameters:
        torch.onnx.export = functools.partial(torch.onnx.export, dynamo=False)
    if get_origin(numpy.typing.NDArray[Any]) is not np.ndarray:
        numpy.typing.NDArray = _Arrays  # type: ignore[assignment]


def _examples(request: Request) -> list[Any]:
    import torch

    return [torch.empty(1, 3, *request.sizes[0])]


def _errors(artifact: Artifact) -> dict[str, Any]:
    """Against eager fp32: the worst of all test images, and of the photographs alone."""
    report = json.loads((artifact.folder / "report.json").read_text())
    (program,) = report["programs"]
    made = ("constant", "noise", "thin lines", "scene")
    found = {probe["probe"]: probe["measured"][DEPTH] for probe in program["probes"]}
    photographs = {name: one for name, one in found.items() if name not in made}

    def worst(rows: Mapping[str, Any]) -> dict[str, float]:
        return {key: max(row[key] for row in rows.values()) for key in ("max_rel", "mean_rel")}

    return {"all": worst(found), "photographs": worst(photographs or found)}


def _layers(artifact: Artifact) -> Any:
    report = json.loads((artifact.folder / "report.json").read_text())
    return report.get("layers")


def heading(found: dict[str, Any]) -> Iterator[str]:
    """The machine, and what was built."""
    cpu = found["cpu"]
    yield f"{found['model']} {found['size']}: {cpu['model']}, {' '.join(cpu['features'])}"
    yield f"built in {found['build_s']} s, load {found['load']:.1f}, {found['versions']}"
    for name, why in found["left_out"].items():
        yield f"left out: {name}: {why}"
    for name, layers in found["layers"].items():
        if layers and "choice" in layers:
            share = layers["choice"]["share"]
            yield f"{name}: {100 * share:.1f} % in int8; float: {', '.join(layers['float'])}"


def table(
    found: dict[str, Any], result: dict[str, Any], upstream_s: Optional[float]
) -> Iterator[str]:
    """A line for each program, the errors against eager fp32."""
    yield f"\nCPUs {result['cpus']}: auto takes {result['chosen']}"
    samples: Samples = result["samples_ms"]
    single = [name for name in FLOATS if name in samples]
    best = min(single, key=lambda name: median(samples[name]))
    heads = ("ms", "/fp32", f"/{best}", "mean %", "max %", "of products")
    yield f"{'':24}" + "".join(f" {head:>11}" for head in heads)
    for name, times in samples.items():
        if name.startswith(PRODUCTS):
            rate = 2 * SIDE**3 * IN_A_ROW / median(times) / 1e6
            yield f"{name:24} {median(times):11.2f} ms, {rate:.0f} GFLOP/s"
            continue
        errors = found["errors"].get(name, {}).get("all", {})
        numbers = [
            median(times),
            *(_ratio(samples[base], times) for base in ("fp32", best)),
            *(100 * errors.get(key, float("nan")) for key in ("mean_rel", "max_rel")),
            100 * _share(found["gmacs"], median(times), samples[f"{PRODUCTS} {best}"]),
        ]
        upstream = f" {1e3 * upstream_s / median(times):.1f}x upstream" if upstream_s else ""
        yield f"{name:24}" + "".join(f" {number:11.2f}" for number in numbers) + upstream


def _ratio(base: Sequence[float], times: Sequence[float]) -> float:
    return median(one / own for one, own in zip(base, times))


def _share(gmacs: float, latency_ms: float, products_ms: Sequence[float]) -> float:
    """GFLOP/s of the network over those of products of the best single precision."""
    products = 2 * SIDE**3 * IN_A_ROW / median(products_ms) / 1e6
    return 2 * gmacs / (latency_ms / 1e3) / products


def _has(package: str) -> bool:
    try:
        return bool(metadata.version(package))
    except metadata.PackageNotFoundError:
        return False


def _say(text: str) -> None:
    typer.echo(text, err=True)


if __name__ == "__main__":
    typer.run(main)
