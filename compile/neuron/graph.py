"""What a saved program still runs on the CPU: every operator outside the compiled sub-graphs.

In a traced program of torch-neuron a compiled sub-graph is one `neuron::forward...` node; any
`aten::` node beside it runs on the CPU at every image.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import torch

from compile.errors import BuildError
from compile.preflight.graph import read_graph
from depth_anything_v2.errors import first_line

_PATHS_SHOWN = 6
# The cast at the door of a program with float16 in and out, which the SDK documents.
_HARMLESS = frozenset({"aten::to"})


def check_on_chip(path: Path, traced: torch.jit.ScriptModule, log_says: Optional[str]) -> None:
    """Read a saved program back. Raises BuildError unless everything is in compiled sub-graphs.

    `traced` is the plain trace of the same network: it knows the modules that a saved program has
    forgotten. `log_says` is what the compile log holds against the program, if anything.
    """
    kinds = Counter(_kinds(_loaded(path)))
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
        raise BuildError("the saved program holds no compiled sub-graph: nothing was compiled")
    if log_says:
        raise BuildError(f"the compile log says that not everything is on the chip: {log_says}")


def modules_of(traced: torch.jit.ScriptModule) -> dict[str, list[str]]:
    """Operator -> the path of the module of each of its nodes."""
    found: dict[str, list[str]] = defaultdict(list)
    for node in read_graph(traced).nodes:
        found[node.kind].append(node.path or "the whole network")
    return found


def described(paths: list[str]) -> str:
    """Module paths as text, each once, the first few of many."""
    names = list(dict.fromkeys(paths))
    more = f" and {len(names) - _PATHS_SHOWN} more" if len(names) > _PATHS_SHOWN else ""
    return ", ".join(names[:_PATHS_SHOWN]) + more


def _described(kind: str, count: int, paths: list[str]) -> str:
    if not paths:
        return f"{count} {kind}, which the network itself does not hold"
    # If only some are left, the saved program does not tell which.
    which = "in" if count == len(paths) else f"of {len(paths)} in"
    return f"{count} {kind} {which} {described(paths)}"


def _loaded(path: Path) -> Any:
    try:
        return torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise BuildError(f"{path}: the saved program does not load: {first_line(error)}") from error


def _kinds(program: Any) -> Iterator[str]:
    waiting = [program.inlined_graph]
    while waiting:
        for node in waiting.pop().nodes():
            yield node.kind()
            waiting += node.blocks()
