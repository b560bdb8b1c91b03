"""A stand-in for neuronx-cc, run as a process of its own: copies its input and leaves its log.

The folder in the environment variable NEURON_STANDIN decides what happens. Its file `behaviours`
holds one word for each call, in order; after the last one every call is `ok`. Each call adds its
arguments as a line to the file `calls`. The words:

ok       the graph is compiled
error    an internal compiler error, as neuronx-cc words it
large    the program needs more memory than the chip has
refuse   an operator is not supported
kill     ended by signal 9, as the kernel does when memory is short
abort    ended by SIGABRT
slow     takes a minute
grow     a child process of it takes 300 MB and then a minute
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_VALUES = {
    "--framework": {"XLA"},
    "--target": {"inf2", "trn1", "trn1n", "trn2"},
    "--model-type": {"generic", "transformer", "unet-inference"},
    "--auto-cast": {"matmult", "all", "none"},
    "--auto-cast-type": {"bf16", "fp16", "tf32", "fp8_e4m3"},
    "--optlevel": {"1", "2", "3"},
    "-O": {"1", "2", "3"},
}
_FREE = {"--output", "--logfile", "--verbose"}
_USAGE, _FAILED = 2, 70  # exit codes
_STAMP = "2025-09-15T12:11:12Z ERROR 85724 [neuronx-cc]: "
_BUG = f"""{_STAMP}An Internal Compiler Error has occurred
{_STAMP}Error message:  Too many partitions
"""
_LARGE = (
    "[ERROR] [NCC_EOOM001] Maximum peak HBM usage of 32.00GB exceeds HBM limit of 16.00GB for Inf2"
)
_REFUSED = "[ERROR] [NCC_EVRF029] Operation sort is not supported on inf2"
_UNKNOWN_CALL = (
    "loc(\"_custom-call.64\"): error: 'mhlo.custom_call' op Error: Unsupported CustomCall target: "
)
_GROW = "import time; held = bytearray(300 << 20); time.sleep(60)"


def main(arguments: list[str]) -> int:
    problem = _usage(arguments[2:])
    if problem:
        sys.stderr.write(f"neuronx-cc: error: {problem}\n")
        return _USAGE
    behaviour = _behaviour(arguments)
    given = dict(zip(arguments, arguments[1:]))
    model, log = Path(arguments[1]), Path(given.get("--logfile", "log-neuron-cc.txt"))
    calls = json.loads((model / "metadata.json").read_text())["custom_calls"]
    sys.stdout.write(".....\n")  # it shows progress on stdout
    if calls:
        sys.stdout.write(f"{_UNKNOWN_CALL}{calls[0]}\n")
        return _FAILED
    _act(behaviour)
    said = {"error": _BUG, "large": _LARGE, "refuse": _REFUSED}.get(behaviour, "")
    log.write_text(said + "\n")
    if said:
        return _FAILED
    sys.stdout.write("Compiler status PASS\n")
    Path(given["--output"]).write_bytes((model / "graph.hlo").read_bytes())
    return 0


def _usage(arguments: list[str]) -> str:
    words = iter(arguments)
    for word in words:
        if word in _FREE:
            next(words, "")
        elif word not in _VALUES:
            return f"unrecognized arguments: {word}"
        elif next(words, "") not in _VALUES[word]:
            return f"argument {word}: invalid choice"
    return ""


def _act(behaviour: str) -> None:
    if behaviour == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if behaviour == "abort":
        os.kill(os.getpid(), signal.SIGABRT)
    if behaviour == "slow":
        time.sleep(60)
    if behaviour == "grow":
        subprocess.run([sys.executable, "-c", _GROW], check=False)


def _behaviour(arguments: list[str]) -> str:
    folder = Path(os.environ["NEURON_STANDIN"])
    calls, words = folder / "calls", folder / "behaviours"
    before = len(calls.read_text().splitlines()) if calls.exists() else 0
    with calls.open("a") as file:
        file.write(json.dumps(arguments) + "\n")
    given = words.read_text().split() if words.exists() else []
    return given[before] if before < len(given) else "ok"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
