"""A stand-in for neuronx-cc, run as a process of its own: copies its input and leaves its log.

Its words beside those of neuron_base/compiler.py:

error         an internal error, without a published cure; in the log only
large         the program needs more memory than the chip has; in the log only
refuse        an operator is not supported; in the log only
instructions  the program is too large, on stderr only, #987
unroll        the program is too large, on stderr only, #739
bound         an access pattern out of bound, on stderr only, #1122

Numbers are issues of aws-neuron/aws-neuron-sdk, whose words these are.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from neuron_base import compiler
from neuron_base.compiler import Failure, fails

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
_BUG = f"{_STAMP}An Internal Compiler Error has occurred\n"


def _logged(text: str) -> Failure:
    return Failure(text, on_stderr=False, in_log=True, code=_FAILED)


_FAILURES = {
    "error": _logged(f"{_BUG}{_STAMP}Error message:  Too many partitions\n"),
    "large": _logged(
        "[ERROR] [NCC_EOOM001] Maximum peak HBM usage of 32.00GB exceeds HBM limit of 16.00GB for "
        "Inf2\n"
    ),
    "refuse": _logged("[ERROR] [NCC_EVRF029] Operation sort is not supported on inf2\n"),
    "instructions": Failure(
        "[XTP002] Number of instructions (8658944) is over the threshold (5000000). Tiling could "
        "potentially do a better job. - Please open a support ticket at "
        "https://github.com/aws-neuron/aws-neuron-sdk/issues/new.\n",
        code=_FAILED,
    ),
    "unroll": Failure("2023-09-12T20:56:19Z Too many instructions after unroll!\n", code=_FAILED),
    "bound": Failure(
        f"{_BUG}[NLA001]  Unhandled exception with message: === BIR error ===\n"
        "Reason: Access pattern out of bound.\nInstruction: I-6012-337\nOpcode: Memset\n",
        code=_FAILED,
    ),
}
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
    code = fails(word, _FAILURES, log)
    if code:
        return code
    log.write_text("\n")
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
