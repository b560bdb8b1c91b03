"""Compare our service with a real Triton, call by call.

    make test-triton
    python -m tests.benchmarks.triton .tools/triton/bin/python

Starts both servers on free ports over the same made-up model, sends the same calls to each with
tritonclient, and prints a row for each call that ends differently. Exit code 1: a difference that
`REASONS` does not have, or a reason that no difference needs any more.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from tests.support.conformance.outcomes import Outcome, outcomes, same
from tests.support.places import ROOT
from tests.support.v2_services import model_of, serving

_START_S = 120.0
_NO_CLASSES = "depth has no classes: refused, where Triton returns the largest values"
_NO_MEMORY = "shared memory is not supported; Triton misses the region"
_NOT_FOUND = "a model that is not there is not found: 404, on every path"
_FOLDERS = "Triton lists folders of its repository; this model came without a folder"
_BAD_REQUEST = "a wrong request is the caller's fault: 400, as the protocol says, not 500"
# Calls that end differently on purpose.
REASONS = {
    **dict.fromkeys(("http infer_classes", "grpc infer_classes"), _NO_CLASSES),
    **dict.fromkeys(("http infer_from_shared_memory", "grpc infer_from_shared_memory"), _NO_MEMORY),
    **dict.fromkeys(
        (
            f"{transport} {call}"
            for transport in ("http", "grpc")
            for call in (
                "unknown_model_statistics",
                "load_unknown_model",
                "unload_unknown_model",
            )
        ),
        _NOT_FOUND,
    ),
    **dict.fromkeys(("http repository_index", "grpc repository_index"), _FOLDERS),
    **dict.fromkeys(
        (
            "http size_negative",
            "http shape_negative",
            "http no_json",
            "http no_object",
            "http no_inputs",
            "http values_missing",
        ),
        _BAD_REQUEST,
    ),
    "http values_too_large": "300 is no UINT8: refused, where Triton keeps its last 8 bits",
    "grpc infer_bad_version": "a version that is not there is not found, whatever its text is",
}


def main() -> int:
    """Run both, print the table, return the exit code."""
    with triton(sys.argv[1]) as (http, grpc):
        theirs = outcomes(http, grpc)
    with serving(model_of(marks=False), model_control=True) as at:
        ours = outcomes(at.http, at.grpc)
    different = [name for name in ours if not same(ours[name], theirs[name])]
    sys.stdout.write(f"{len(ours) - len(different)} of {len(ours)} calls end the same\n\n")
    sys.stdout.write("| call | ours | Triton | reason |\n|---|---|---|---|\n")
    for name in different:
        reason = REASONS.get(name, "UNKNOWN")
        row = name, _short(ours[name]), _short(theirs[name]), reason
        sys.stdout.write("| " + " | ".join(row) + " |\n")
    unneeded = sorted(set(REASONS) - set(different))
    for name in unneeded:
        sys.stdout.write(f"\n{name}: ends the same now; take its reason out\n")
    return int(bool(unneeded) or not set(different) <= set(REASONS))


@contextmanager
def triton(python: str) -> Iterator[tuple[str, str]]:
    """Addresses of a real Triton, HTTP and gRPC, until the block ends."""
    http, grpc, metrics = (_free_port() for _ in range(3))
    script = str(ROOT / "tests/benchmarks/triton_model.py")
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603
            [python, script, str(http), str(grpc), str(metrics)],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _wait_for(process, f"http://127.0.0.1:{http}/v2/models/depth/ready")
            yield f"127.0.0.1:{http}", f"127.0.0.1:{grpc}"
        except TimeoutError:
            log.seek(0)
            sys.stderr.buffer.write(log.read()[-3000:])
            raise
        finally:
            # Its server outlives the end of the process that started it.
            for pid in [*_below(process.pid), process.pid]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()


def _wait_for(process: subprocess.Popen[bytes], url: str) -> None:
    ends_s = time.monotonic() + _START_S
    while time.monotonic() < ends_s and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5):  # noqa: S310
            return
        time.sleep(0.5)
    raise TimeoutError(f"Triton did not become ready at {url}")


def _below(pid: int) -> list[int]:
    """Every process that a process has started, and those that they have."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            fields = status.read_text().rpartition(")")[2].split()
            parents[int(status.parent.name)] = int(fields[1])
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found[1:]


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _short(outcome: Outcome) -> str:
    if isinstance(outcome, np.ndarray):
        return f"{outcome.dtype} {list(outcome.shape)}"
    return str(outcome)[:60]


if __name__ == "__main__":
    sys.exit(main())
