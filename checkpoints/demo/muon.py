"""Optimizer for the weight matrices of the transformer blocks.

Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024: the momentum of a
matrix is replaced by the nearest orthogonal matrix before it is applied, so that all directions
learn at the same pace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, Optional

import torch
from torch import Tensor

ITERATIONS = 4
# Newton-Schulz coefficients of the paper: singular values from 0..1 go to about 1 in few rounds.
A, B, C = 3.4445, -4.7750, 2.0315


class Muon(torch.optim.Optimizer):
    """For parameters that are matrices; those of one shape are worked on together."""

    def __init__(
        self, parameters: Iterable[Tensor], lr: float, momentum: float = 0.95, decay: float = 0.05
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: Optional[Callable[[], float]] = None) -> None:  # type: ignore[override]
        """Apply one update; `closure` is not used."""
        del closure
        for group in self.param_groups:
            shapes: dict[tuple[int, ...], list[Tensor]] = {}
            for parameter in group["params"]:
                shapes.setdefault(tuple(parameter.shape), []).append(parameter)
            for parameters in shapes.values():
                self._step_together(parameters, group)

    def _step_together(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        updates = []
        for parameter in parameters:
            gradient = parameter.grad
            if gradient is None:
                gradient = torch.zeros_like(parameter)
            state = self.state[parameter]
            if not state:
                state["momentum"] = torch.zeros_like(parameter)
            state["momentum"].lerp_(gradient, 1 - group["momentum"])
            updates.append(gradient.lerp(state["momentum"], group["momentum"]))
        rows, columns = parameters[0].shape
        # Query, key and value are three matrices in one.
        parts = rows // columns if rows == 3 * columns else 1
        stacked = torch.stack(updates).reshape(-1, rows // parts, columns)
        even = orthogonal(stacked).reshape(-1, rows, columns)
        gain = max(1.0, rows / parts / columns) ** 0.5
        for parameter, update in zip(parameters, even):
            parameter.mul_(1 - group["lr"] * group["decay"])
            parameter.add_(update, alpha=-group["lr"] * gain)


def orthogonal(stack: Tensor) -> Tensor:
    """Roughly the nearest orthogonal matrices, [n,r,c] to [n,r,c]."""
    x = stack.mT if stack.shape[1] > stack.shape[2] else stack
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    if multiplies_bf16(x.device):
        x = x.bfloat16()
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = A * x + (B * gram + C * gram @ gram) @ x
    x = x.to(stack.dtype)
    return x.mT if stack.shape[1] > stack.shape[2] else x


@cache
def multiplies_bf16(device: torch.device) -> bool:
    """Whether bfloat16 saves time there: half of a step, or less than none where it is emulated."""
    return device.type == "cuda" or "avx512_bf16" in Path("/proc/cpuinfo").read_text("utf-8")
