"""The training loop: what happens at every step, and how it goes on after an interruption."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from checkpoints.demo.batches import Batch, draw
from checkpoints.demo.losses import total_loss
from checkpoints.demo.muon import Muon, multiplies_bf16
from checkpoints.demo.pool import Pool
from checkpoints.demo.trainee import Trainee

PEAK_RATE = 1e-3  # AdamW: everything but the matrices of the blocks
MUON_RATE = 0.015  # those
WARM_UP_STEPS = 100
WEIGHT_DECAY = 0.05
LARGEST_GRADIENT = 1.0
EMA_DECAY = 0.997
LOG_EVERY = 20


@dataclass(frozen=True)
class Phase:
    """Up to this share of all steps: batches of `count` at one of `sizes`, in px."""

    until: float
    count: int
    sizes: tuple[tuple[int, int], ...]
    stride: int  # px; of the output that is trained


# Small pictures first: most of what there is to learn is in them, at half the cost. The last layers
# work on whole pixels and cost more than all others, so they do it only at the end.
PHASES = (
    Phase(0.35, 64, ((84, 112), (84, 126), (84, 84), (112, 84), (84, 154)), 2),
    Phase(0.92, 48, ((126, 168), (126, 182), (126, 126), (168, 126), (126, 196), (126, 224)), 2),
    Phase(1.01, 32, ((126, 168), (126, 196), (126, 126), (168, 126), (196, 126), (126, 224)), 1),
)
# Then the learning rate falls in a straight line.
LEVEL_UNTIL = 0.6


@dataclass
class State:
    """Everything that a resumed run needs."""

    trainee: Trainee
    average: Trainee  # exponential moving average of the weights: what is saved in the end
    optimizers: tuple[torch.optim.Optimizer, ...]
    seed: int
    device: torch.device
    step: int = 0
    seconds: float = 0.0
    losses: list[tuple[int, float]] = field(default_factory=list)  # mean since the last entry


def new_state(seed: int, device: torch.device) -> State:
    """Step 0."""
    torch.manual_seed(seed)
    trainee = Trainee().to(device)
    matrices = [p for p in trainee.network.encoder.blocks.parameters() if p.ndim == 2]
    others = {p for p in trainee.parameters() if p.requires_grad} - set(matrices)
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trainee.parameters() if p in others and p.ndim > 1]},
        {
            "params": [p for p in trainee.parameters() if p in others and p.ndim <= 1],
            "weight_decay": 0,
        },
    ]
    adamw = torch.optim.AdamW(groups, lr=PEAK_RATE, betas=(0.9, 0.98), weight_decay=WEIGHT_DECAY)
    optimizers = (adamw, Muon(matrices, MUON_RATE))
    average = Trainee().to(device)
    average.load_state_dict(trainee.state_dict())
    return State(trainee, average.requires_grad_(False), optimizers, seed, device)


def rate_at(step: int, steps: int) -> float:
    """Share of the learning rate: a straight warm-up, level, and straight down at the end."""
    rising = (step + 1) / WARM_UP_STEPS
    falling = (1 - step / steps) / (1 - LEVEL_UNTIL)
    return min(1.0, rising, falling)


def phase_at(step: int, steps: int) -> Phase:
    """What is trained at a step of a run of `steps`."""
    return next(phase for phase in PHASES if step / steps < phase.until)


@dataclass(frozen=True)
class Drawing:
    """The batches of a run; each depends on seed and step only."""

    pool: Pool
    seed: int
    steps: int
    times: int  # crops per step, as a multiple of the phase's own count

    def __call__(self, step: int) -> Batch:
        """The batch of a step."""
        rng = np.random.default_rng([self.seed, step])
        phase = phase_at(step, self.steps)
        size = phase.sizes[int(rng.integers(len(phase.sizes)))]
        return draw(self.pool, size, self.times * phase.count, rng)


def train_step(state: State, batch: Batch, steps: int) -> torch.Tensor:
    """One batch; returns its loss, still on the device."""
    phase = phase_at(state.step, steps)
    images, inverse = batch.on(state.device)
    for optimizer, peak in zip(state.optimizers, (PEAK_RATE, MUON_RATE)):
        for group in optimizer.param_groups:
            group["lr"] = peak * rate_at(state.step, steps)
    natively = multiplies_bf16(state.device)
    with torch.autocast(state.device.type, dtype=torch.bfloat16, enabled=natively):
        raw = state.trainee(images, phase.stride)
    loss = total_loss(raw, inverse[:, :: phase.stride, :: phase.stride])
    state.trainee.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.trainee.parameters(), LARGEST_GRADIENT)
    for optimizer in state.optimizers:
        optimizer.step()
    _follow(state.average, state.trainee, min(EMA_DECAY, (1 + state.step) / (10 + state.step)))
    state.step += 1
    return loss.detach()


def _follow(average: nn.Module, trainee: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for slow, fast in zip(average.parameters(), trainee.parameters()):
            slow.lerp_(fast, 1 - decay)


def save_state(state: State, path: Path, steps: int) -> None:
    """Write a state through a temporary file: a killed run leaves the previous one."""
    part = path.with_suffix(".part")
    content: dict[str, Any] = {
        "trainee": state.trainee.state_dict(),
        "average": state.average.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in state.optimizers],
        "seed": state.seed,
        "step": state.step,
        "steps": steps,
        "seconds": state.seconds,
        "losses": copy.copy(state.losses),
    }
    torch.save(content, part)
    part.replace(path)


def load_state(path: Path, seed: int, steps: int, device: torch.device) -> State:
    """The state of an interrupted run that a run of `steps` can go on from, or a new one.

    While the learning rate is level, the length can still be changed; afterwards it is settled.
    """
    state = new_state(seed, device)
    if not path.exists():
        return state
    content = torch.load(path, map_location=device, weights_only=True)
    shortest = min(steps, content.get("steps", steps))
    alike = content.get("steps", steps) == steps
    if content["seed"] != seed or not (alike or content["step"] <= LEVEL_UNTIL * shortest):
        return state
    state.trainee.load_state_dict(content["trainee"])
    state.average.load_state_dict(content["average"])
    for optimizer, saved in zip(state.optimizers, content["optimizers"]):
        optimizer.load_state_dict(saved)
    state.step, state.seconds = content["step"], content["seconds"]
    state.losses = [(int(step), float(loss)) for step, loss in content["losses"]]
    return state


class Clock:
    """Seconds since the last call, for work that may be interrupted."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def lap(self) -> float:
        """Seconds since the last lap."""
        now = time.monotonic()
        passed, self._last = now - self._last, now
        return passed
