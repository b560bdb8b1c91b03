"""What drop-in classes have in common: a network, and state dicts of any layout it knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from depth.errors import CheckpointError
from depth.family import load_weights, module
from depth.network.base import Network
from depth.network.layouts import OWN_PREFIX
from depth.weights.wrappings import unwrapped


class DropIn(nn.Module):
    """A network of a family whose `layouts` has `to_ours`, behind upstream's names.

    Subclasses set `network`.
    """

    network: Network

    def load_state_dict(self, state_dict: Mapping[str, Any], *_: Any, **__: Any) -> Any:
        """Load a checkpoint of any known layout, or this module's own state dict.

        Entries around it, such as "model" or "state_dict", and a prefix of all keys are taken off.
        Always strict: raises CheckpointError that names the keys that do not fit.
        """
        state, where = unwrapped(state_dict)
        load_weights(self.network, state, f"the state dict{where}")
        return nn.modules.module._IncompatibleKeys([], [])

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *rest: Any, **named: Any
    ) -> None:
        """Accept weights of any known layout also as part of a larger module."""
        keys = [key for key in state_dict if key.startswith(prefix)]
        theirs = {key[len(prefix) :]: state_dict[key] for key in keys}
        if theirs and not self._are_own(theirs):
            layouts = module(self.network.model.family, "layouts")
            try:
                ours = layouts.to_ours(theirs)
            except CheckpointError as error:
                errors: list[str] = rest[-1]
                errors.append(str(error))
            else:
                for key in keys:
                    del state_dict[key]
                placed = self._placed(ours, theirs)
                state_dict.update({prefix + name: part for name, part in placed.items()})
        super()._load_from_state_dict(  # type: ignore[no-untyped-call]
            state_dict, prefix, *rest, **named
        )

    def _are_own(self, names: Iterable[str]) -> bool:
        """Whether a state dict has the names of this module's parameters already."""
        return any(name.startswith(OWN_PREFIX) for name in names)

    def _placed(
        self,
        ours: Mapping[str, Tensor],
        theirs: Mapping[str, Tensor],  # noqa: ARG002 - for subclasses
    ) -> dict[str, Tensor]:
        """A state dict under the names of this module's parameters.

        ours, theirs  the state dict under our names, and as it was given
        """
        return {f"{OWN_PREFIX}{name}": part for name, part in ours.items()}
