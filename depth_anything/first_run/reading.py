"""What the project's own commands leave in a trial's folder, as the facts of the page."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Callable

from depth.artifact.manifest import REPORTS
from depth.artifact.verification import VERIFIED_FILE

BENCH = "bench.json"


def facts_of(folder: Path) -> dict[str, Any]:
    """Facts by kind: "built", "measured" and "bench", as far as the folder has their files."""
    found: dict[str, Any] = {}
    for name, (kind, read) in _READERS.items():
        try:
            data = json.loads((folder / name).read_text(encoding="utf-8"))
            found[kind] = read(data)
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            continue  # no such file, or cut off
    return found


def _built(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of each program: how long, with which fallback, and how much is on the chip."""
    return [_program(row) for row in data["programs"] if row["record"]]


def _program(row: Mapping[str, Any]) -> dict[str, Any]:
    record = row["record"]
    log, subgraphs = record["log"], record["subgraphs"]
    return {
        "name": row["name"],
        "build_s": row["build_s"],
        "peak_memory_bytes": record["peak_memory_bytes"],
        "fallback": record["fallback"],
        "attempts": [[tried["fallback"], tried["cause"]] for tried in record["attempts"]],
        "operators": log["operators"],
        "compiled": log["compiled"],
        "macs": sum(graph["matmul_ops"] or 0 for graph in subgraphs) / 2,
        "gave_up_optimising": any(graph["gave_up_optimising"] for graph in subgraphs),
    }


def _measured(data: Mapping[str, Any]) -> dict[str, Any]:
    """The verdict, and the errors of each program by output."""
    programs = {row["name"]: row["measured"] for row in data["programs"]}
    return {"passed": data["gate"]["passed"], "programs": programs}


def _bench(data: Mapping[str, Any]) -> dict[str, Any]:
    """Medians: latency of one run, throughput by runs in flight, and the cold start."""
    result = data["results"][0]
    return {
        "program": result["program"],
        "latency_ms": statistics.median(_flat(result["latency_ms"])),
        "images_per_s": {
            streams: statistics.median(_flat(rounds))
            for streams, rounds in result["images_per_s"].items()
        },
        "first_result_s": result["cold_starts"][0]["first_result_s"],
        "folder_s_per_image": statistics.median(_flat(result["folder_s_per_image"])),
    }


def _flat(rounds: list[list[float]]) -> Iterator[float]:
    return (sample for samples in rounds for sample in samples)


_READERS: dict[str, tuple[str, Callable[[Mapping[str, Any]], Any]]] = {
    REPORTS[0]: ("built", _built),
    VERIFIED_FILE: ("measured", _measured),
    BENCH: ("bench", _bench),
}
