"""What a traced program still runs on the CPU: every operator outside the compiled sub-graphs.

In it a compiled sub-graph is one `neuron::forward...` node; any `aten::` node beside it runs on the
CPU at every image. It is looked at before it is saved: reading a saved one back starts the runtime,
which fails on a machine without a chip.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, Optional

import torch

from compile.errors import BuildError
from compile.graph import read_graph

_PATHS_SHOWN = 6
_ROOT = "the whole network"  # a path in words, where the path itself is empty
# The cast at the door of a program with float16 in and out, which the SDK documents; and what packs
# inputs and outputs into lists.
_HARMLESS = frozenset({"aten::to", "aten::append", "aten::extend", "aten::__getitem__"})


def check_on_chip(program: Any, traced: torch.jit.ScriptModule, log_says: Optional[str]) -> None:
    """Raises BuildError unless everything in a program is in compiled sub-graphs.

    `traced` is the plain trace of the same network: it knows the modules that a program has
    forgotten. `log_says` is what the compile log holds against the program, if anything.
    """
    kinds = Counter(_kinds(program))
    left = {kind: n for kind, n in kinds.items() if kind.startswith("aten::")}
    left = {kind: n for kind, n in left.items() if kind not in _HARMLESS}
    if left:
        paths = modules_of(traced)
        named = "; ".join(_described(kind, n, paths[kind]) for kind, n in sorted(left.items()))
        reason = f" ({log_says})" if log_says else ""
        raise BuildError(
            f"this would run on the CPU at every image: {named}{reason}; "
            "lower it away, see `python -m compile preflight`"
        )
    if not any(kind.startswith("neuron::forward") for kind in kinds):
        raise BuildError("the program holds no compiled sub-graph: nothing was compiled")
    if log_says:
        raise BuildError(f"the compile log says that not everything is on the chip: {log_says}")


def modules_of(traced: torch.jit.ScriptModule) -> dict[str, list[str]]:
    """Operator -> the path of the module of each of its nodes."""
    found: dict[str, list[str]] = defaultdict(list)
    for node in read_graph(traced).nodes:
        found[node.kind].append(node.path or _ROOT)
    return found


def unsupported(traced: torch.jit.ScriptModule, supported: frozenset[str]) -> str:
    """Operators of a trace that are not on the SDK's list, with their modules; else nothing."""
    return "; ".join(
        f"{len(paths)} {kind} in {described(paths)}"
        for kind, paths in sorted(modules_of(traced).items())
        if kind.startswith("aten::") and kind not in supported
    )


def described(paths: list[str]) -> str:
    """Module paths as text, each once, the first few of many."""
    names = [path or _ROOT for path in dict.fromkeys(paths)]
    more = f" and {len(names) - _PATHS_SHOWN} more" if len(names) > _PATHS_SHOWN else ""
    return ", ".join(names[:_PATHS_SHOWN]) + more


def _described(kind: str, count: int, paths: list[str]) -> str:
    if not paths:
        return f"{count} {kind}, which the network itself does not hold"
    # If only some are left, the program does not tell which.
    which = "in" if count == len(paths) else f"of {len(paths)} in"
    return f"{count} {kind} {which} {described(paths)}"


def _kinds(program: Any) -> Iterator[str]:
    waiting = [program.inlined_graph]
    while waiting:
        for node in waiting.pop().nodes():
            yield node.kind()
            waiting += node.blocks()
