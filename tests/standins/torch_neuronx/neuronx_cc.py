"""A stand-in for neuronx-cc, run as a process of its own: copies its input and leaves its log.

Its words beside those of neuron_base/compiler.py:

large    the program needs more memory than the chip has
refuse   an operator is not supported
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from neuron_base import compiler

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


def main(arguments: list[str]) -> int:
    problem = _usage(arguments[2:])
    if problem:
        sys.stderr.write(f"neuronx-cc: error: {problem}\n")
        return _USAGE
    word = compiler.begin(arguments)
    given = dict(zip(arguments, arguments[1:]))
    model, log = Path(arguments[1]), Path(given.get("--logfile", "log-neuron-cc.txt"))
    calls = json.loads((model / "metadata.json").read_text())["custom_calls"]
    if calls:
        sys.stdout.write(f"{_UNKNOWN_CALL}{calls[0]}\n")
        return _FAILED
    said = {"error": _BUG, "large": _LARGE, "refuse": _REFUSED}.get(word, "")
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
