"""What a rule says of one node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Optional

from compile.graph import Node

ON_CHIP = "on chip"
REFUSED = "refused"  # documented, or seen, not to compile
DOUBTFUL = "doubtful"  # nothing shows that this form compiles


@dataclass(frozen=True)
class Finding:
    verdict: str
    remedy: str = ""  # what to do, for whoever wrote the network

    @property
    def passed(self) -> bool:
        return self.verdict == ON_CHIP


FINE = Finding(ON_CHIP)
Rule = Callable[[Node], Optional[Finding]]  # None: nothing to say of this node


def refused(remedy: str) -> Finding:
    return Finding(REFUSED, remedy)


def doubtful(remedy: str) -> Finding:
    return Finding(DOUBTFUL, remedy)


CONTROL_FLOW = {
    kind: "control flow must be decided before tracing: no `if` or loop over tensor values"
    for kind in ("prim::If", "prim::Loop")
}


def has_dtype(node: Node, dtype: str) -> bool:
    """Whether the node makes a tensor of this dtype that is used. A wrapped number is no tensor."""
    return any(value.dtype == dtype and value.shape and value.used for value in node.outputs)
