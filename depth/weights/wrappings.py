"""The entries that training programs put around the weights. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# The first of these that is there is taken: the weights of upstream's training script are in
# "model", those of Lightning in "state_dict".
CONTAINERS = (
    "model",
    "state_dict",
    "model_state_dict",
    "ema",
    "model_ema",
    "state_dict_ema",
    "ema_state_dict",
    "params_ema",
    "params",
    "network",
    "net",
    "weights",
)


def unwrapped(loaded: Any) -> tuple[Any, str]:
    """The state dict inside known entries, and where it was, as Python writes it: `["model"]`.

    Anything else is returned as it is, with "".
    """
    where = ""
    while isinstance(loaded, Mapping):
        name = next((name for name in CONTAINERS if isinstance(loaded.get(name), Mapping)), None)
        if name is None:
            break
        loaded, where = loaded[name], f'{where}["{name}"]'
    return loaded, where
