"""A part of the network under upstream's names: in its state dict, parameters and modules.

The part is one submodule, with our names inside. Nothing is copied: a weight has one tensor.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar, Optional

from torch import nn

# (pattern of the beginning of our name, theirs), the first that matches; whole parts of names.
Names = tuple[tuple[str, str], ...]

ENCODER: Names = (
    (r"encoder\.position", ""),
    (r"encoder\.patch_embed", "patch_embed.proj"),
    (r"encoder\.blocks\.(\d+)\.scale([12])", r"blocks.\1.ls\2"),
    (r"encoder", ""),
)


def _decoder() -> Iterator[tuple[str, str]]:
    """They count from 1."""
    yield r"decoder\.pyramid\.project", "projects"
    yield r"decoder\.pyramid\.resize", "resize_layers"
    for ours in range(4):
        fuse, theirs = rf"decoder\.merge\.fuse{ours}", f"scratch.refinenet{ours + 1}"
        yield rf"decoder\.pyramid\.adapt\.{ours}", f"scratch.layer{ours + 1}_rn"
        yield fuse + r"\.skip_unit", f"{theirs}.resConfUnit1"
        yield fuse + r"\.unit", f"{theirs}.resConfUnit2"
        yield fuse + r"\.project", f"{theirs}.out_conv"
        yield fuse, theirs
    yield r"decoder\.reduce", "scratch.output_conv1"
    yield r"decoder\.heads\.\w+\.conv1", "scratch.output_conv2.0"
    yield r"decoder\.heads\.\w+\.conv2", "scratch.output_conv2.2"
    yield r"unused_unit", "scratch.refinenet4.resConfUnit1"


DECODER: Names = tuple(_decoder())


class UnderTheirNames(nn.Module):
    """A module whose parameters have upstream's names, also inside of a larger module.

    Subclasses set `names`. A state dict under our names loads too.
    """

    names: ClassVar[Names] = ()

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """As torch's, under upstream's names."""
        prefix = kwargs.get("prefix", args[1] if len(args) > 1 else "")
        state = super().state_dict(*args, **kwargs)
        for key in [key for key in state if key.startswith(prefix)]:
            state[prefix + self._theirs(key[len(prefix) :])] = state.pop(key)
        return state

    def named_modules(
        self,
        memo: Optional[set[nn.Module]] = None,
        prefix: str = "",
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, nn.Module]]:
        """As torch's, under upstream's names. Of several modules of a name, this is the last."""
        start = f"{prefix}." if prefix else ""
        found = list(super().named_modules(memo, prefix, remove_duplicate))
        named = [
            (f"{start}{self._theirs(name[len(start) :])}".rstrip("."), part)
            for name, part in found[1:]
        ]
        yield from (pair for pair in named if pair[0] == prefix)
        yield from found[:1]
        yield from (pair for pair in named if pair[0] != prefix)

    def _theirs(self, name: str) -> str:
        for pattern, theirs in self.names:
            match = re.match(pattern + r"(?=\.|$)", name)
            if match:
                return (match.expand(theirs) + name[match.end() :]).lstrip(".")
        return name

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *rest: Any, **named: Any
    ) -> None:
        """Take upstream's names back to ours, for the modules inside to find."""
        own = super().state_dict()
        ours = {prefix + self._theirs(key): prefix + key for key in own}
        for theirs in [key for key in state_dict if key in ours]:
            state_dict[ours[theirs]] = state_dict.pop(theirs)
        super()._load_from_state_dict(  # type: ignore[no-untyped-call]
            state_dict, prefix, *rest, **named
        )
