"""What a rule says of one node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Optional

from compile.preflight.graph import Node

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
