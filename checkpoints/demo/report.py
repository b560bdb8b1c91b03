"""What a training run leaves for its readers: metrics.json, loss.png and a table."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from checkpoints.demo.evaluate import Row
from checkpoints.demo.training import PHASES, Drawing, State

CURVE_PX = (360, 640)
MARGIN_PX = 50
SMOOTH = 15  # entries averaged for the dark line


def describe(state: State, drawing: Drawing) -> dict[str, Any]:
    """The facts of a run."""
    return {
        "seed": state.seed,
        "steps": drawing.steps,
        "crops_per_step": [drawing.times * phase.count for phase in PHASES],
        "training_scenes": len(drawing.pool),
        "training_wall_s": round(state.seconds, 1),  # pauses of the process included
        "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores{_gpu(state.device)}",
        "torch": torch.__version__,
        "loss_first": round(state.losses[0][1], 4) if state.losses else None,
        "loss_last": round(float(np.mean([loss for _, loss in state.losses[-5:]])), 4)
        if state.losses
        else None,
    }


def _gpu(device: torch.device) -> str:
    return f", {torch.cuda.get_device_name(device)}" if device.type == "cuda" else ""


def write_metrics(path: Path, facts: dict[str, Any], rows: Sequence[Row]) -> None:
    """Write facts and scores as JSON, through a temporary file."""
    content = {**facts, "evaluation": [asdict(row) for row in rows]}
    text = json.dumps(content, indent=2, default=float)
    part = path.with_suffix(".part")
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(path)


def markdown(rows: Sequence[Row]) -> str:
    """The scores as a Markdown table."""
    names = ("delta1", "AbsRel", "gradient: delta1", "AbsRel", "constant: delta1", "AbsRel")
    lines = [f"| scenes | number | {' | '.join(names)} |", "|" + " --- |" * 8]
    for row in rows:
        scores = (row.model, row.gradient, row.constant)
        cells = [f"{each.delta1:.3f} | {each.abs_rel:.3f}" for each in scores]
        lines.append(f"| {row.name} | {row.scenes} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_curve(losses: Sequence[tuple[int, float]], path: Path) -> None:
    """Draw the loss over the steps, on a logarithmic scale."""
    height, width = CURVE_PX
    canvas = np.full((height, width, 3), 255, np.uint8)
    if len(losses) > 1:
        steps, values = (np.array(column, np.float64) for column in zip(*losses))
        low, high = np.log(values.min() * 0.95), np.log(values.max() * 1.05)
        x = MARGIN_PX + (width - 2 * MARGIN_PX) * steps / steps.max()

        def y(value: Any) -> Any:
            return (
                height - MARGIN_PX - (height - 2 * MARGIN_PX) * (np.log(value) - low) / (high - low)
            )

        for mark in (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0):
            if low <= np.log(mark) <= high:
                row = int(y(mark))
                cv2.line(canvas, (MARGIN_PX, row), (width - MARGIN_PX, row), (225, 225, 225), 1)
                _write(canvas, f"{mark:g}", (8, row + 4))
        _line(canvas, x, y(values), (220, 190, 160))
        kernel = np.ones(min(SMOOTH, len(values))) / min(SMOOTH, len(values))
        smooth = np.convolve(values, kernel, mode="valid")
        _line(canvas, x[len(values) - len(smooth) :], y(smooth), (160, 60, 20))
        _write(canvas, f"{int(steps.max())} steps", (width - 2 * MARGIN_PX - 10, height - 20))
    _write(canvas, "training loss", (MARGIN_PX, 30))
    ok, data = cv2.imencode(".png", canvas)
    if ok:
        part = path.with_suffix(".part")
        part.write_bytes(data.tobytes())
        part.replace(path)


def _line(canvas: Any, x: Any, y: Any, colour: tuple[int, int, int]) -> None:
    points = np.stack([x, y], axis=1).round().astype(np.int32)
    cv2.polylines(canvas, [points], False, colour, 1, cv2.LINE_AA)


def _write(canvas: Any, text: str, at: tuple[int, int]) -> None:
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (60, 60, 60), 1, cv2.LINE_AA)
