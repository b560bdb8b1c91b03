"""Modules to trace."""

from __future__ import annotations

from typing import Any, Callable

from torch import Tensor, nn


class Calls(nn.Module):
    """A module whose forward is a function."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(x)
