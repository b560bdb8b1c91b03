"""Every call's outcome, and whether two outcomes are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
from tritonclient.utils import InferenceServerException

from tests.support.conformance.client import Call, Outcome
from tests.support.conformance.grpc_alone import GRPC
from tests.support.conformance.http_alone import HTTP
from tests.support.conformance.shared import SHARED


def outcomes(http_address: str, grpc_address: str) -> dict[str, Outcome]:
    """Every call's outcome by its name."""
    found: dict[str, Outcome] = {}
    for module, address, calls in (
        (over_http, http_address, [*SHARED, *HTTP]),
        (over_grpc, grpc_address, [*SHARED, *GRPC]),
    ):
        kind = module.__name__.rpartition(".")[2]
        client = module.InferenceServerClient(address)
        client.module, client.address = module, address
        for call in calls:
            found[f"{kind} {call.__name__}"] = _outcome(call, client)
        client.close()
    return found


def same(one: Outcome, other: Outcome) -> bool:
    """Whether two outcomes are the same; numbers of maps may differ in their last bits."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        equal = one.shape == other.shape and one.dtype == other.dtype
        return equal and (one.dtype.kind != "f" or bool(np.allclose(one, other, atol=1e-5)))
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


def _outcome(call: Call, client: Any) -> Outcome:
    try:
        found = call(client)
        simple = isinstance(found, (np.ndarray, list, str, int, bool, type(None)))
        return found if simple else "an answer"
    except InferenceServerException as error:
        return f"error {str(error.status()).replace('StatusCode.', '')}"
