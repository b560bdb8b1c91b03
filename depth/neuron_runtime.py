"""How long the Neuron runtime lets a run take: set before an SDK is imported, shown by `doctor`.

The runtime ends a run that takes longer, with status 5, and the core can be opened again. A run
that only the scheduler finds to hang costs the core.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping

EXEC_TIMEOUT = "NEURON_RT_EXEC_TIMEOUT"  # seconds; the documentation gives two defaults, 2 and 30
EXEC_TIMEOUT_S = 20  # below `Limits.run_timeout_s` of the scheduler, far above any run


def limit_runs(environment: MutableMapping[str, str]) -> None:
    """Set the runtime's limit for a run, unless the user has: it counts if no SDK is imported yet.

    environment  os.environ
    """
    environment.setdefault(EXEC_TIMEOUT, str(EXEC_TIMEOUT_S))


def limit_in_force(environment: Mapping[str, str]) -> float:
    """Seconds after which the runtime ends a run in a process of ours. NaN: it is no number."""
    try:
        return float(environment.get(EXEC_TIMEOUT, EXEC_TIMEOUT_S))
    except ValueError:
        return math.nan
