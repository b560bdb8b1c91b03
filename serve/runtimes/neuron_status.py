"""What a failure of the Neuron runtime means for the request, the program and the core: as data.

The SDKs raise RuntimeError; the runtime's status code is in its text. Codes and texts are those of
the AWS Neuron SDK documentation (runtime: NRT_STATUS, API guide, troubleshooting). The action is
the one to take first; whoever takes it counts how often it did not help.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

from serve.errors import Action
from serve.runtimes.neuron_seen import SEEN


@dataclass(frozen=True)
class Status:
    """One row of NRT_STATUS."""

    code: int
    name: str  # without "NRT_"
    action: Action
    advice: str  # for an operator


STATUSES: dict[int, Status] = {
    status.code: status
    for status in (
        Status(1, "FAILURE", Action.RECYCLE, "see the runtime's log; start the worker again"),
        Status(2, "INVALID", Action.ARTIFACT_FAULT, "compile the artifact again"),
        Status(3, "INVALID_HANDLE", Action.RECYCLE, "start the worker again"),
        Status(4, "RESOURCE", Action.UNLOAD, "memory ran out: load fewer programs"),
        Status(
            5,
            "TIMEOUT",
            Action.RECYCLE,
            "the runtime printed the cause on stderr; if it happens again, replace the instance",
        ),
        Status(6, "HW_ERROR", Action.REPLACE, "replace the instance"),
        Status(7, "QUEUE_FULL", Action.BACK_PRESSURE, "send fewer requests at once"),
        Status(
            9,
            "LOAD_NOT_ENOUGH_NC",
            Action.REPLACE,
            "check NEURON_RT_NUM_CORES, NEURON_RT_VISIBLE_CORES and other processes",
        ),
        Status(
            10,
            "UNSUPPORTED_NEFF_VERSION",
            Action.ARTIFACT_FAULT,
            "compile again with the release of the SDK that runs here",
        ),
        Status(11, "FAIL_HOST_MEM_ALLOC", Action.UNLOAD, "use a host with more memory"),
        Status(13, "UNINITIALIZED", Action.RECYCLE, "start workers with spawn, never fork"),
        Status(14, "CLOSED", Action.RECYCLE, "start workers with spawn, never fork"),
        Status(15, "QUEUE_EMPTY", Action.RETRY, "start the worker again if it stays"),
        Status(101, "EXEC_UNIT_UNRECOVERABLE", Action.RECYCLE, "start the process again"),
        Status(1002, "EXEC_BAD_INPUT", Action.REQUEST_FAULT, "correct the input"),
        Status(
            1003,
            "EXEC_COMPLETED_WITH_NUM_ERR",
            Action.REQUEST_FAULT,
            "the program gave NaN: if other inputs do too, compile with another precision",
        ),
        Status(
            1004,
            "EXEC_COMPLETED_WITH_ERR",
            Action.RETRY,
            "if it happens again, replace the instance",
        ),
        Status(1005, "EXEC_NC_BUSY", Action.RETRY, "let one thread at a time use a core"),
        Status(1006, "EXEC_OOB", Action.REQUEST_FAULT, "the input or the program is at fault"),
        Status(1100, "COLL_PENDING", Action.RECYCLE, "start the process again"),
        Status(1200, "EXEC_HW_ERR_COLLECTIVES", Action.REPLACE, "stop and start the instance"),
        Status(1201, "EXEC_HW_ERR_HBM_UE", Action.REPLACE, "stop and start the instance"),
        Status(1202, "EXEC_HW_ERR_NC_UE", Action.REPLACE, "stop and start the instance"),
        Status(1203, "EXEC_HW_ERR_DMA_ABORT", Action.REPLACE, "stop and start the instance"),
        Status(
            1204,
            "EXEC_SW_NQ_OVERFLOW",
            Action.RECYCLE,
            "set NEURON_RT_ENABLE_DGE_NOTIFICATIONS=0",
        ),
        Status(
            1205,
            "EXEC_HW_ERR_REPAIRABLE_HBM_UE",
            Action.REPLACE,
            "reload the driver or reboot the instance",
        ),
        Status(1206, "NETWORK_PROXY_FAILURE", Action.RECYCLE, "start the process again"),
    )
}


@dataclass(frozen=True)
class Text:
    """Words that say more than the status they come with, if they come with one."""

    pattern: str
    action: Action
    advice: str


TEXTS: tuple[Text, ...] = (  # the first that matches counts
    *(Text(pattern, Action(action), advice) for pattern, action, advice in SEEN),
    Text(
        r"NEURON_HW_ERR=|action=TERMINATE_INSTANCE",
        Action.REPLACE,
        "the hardware failed: replace the instance",
    ),
    Text(
        r"Unknown type name .*neuron|Unknown builtin op: neuron",
        Action.REPLACE,
        "the SDK was not imported before the program was loaded: start the process again",
    ),
    Text(
        r"NRT_STATE_CHILD",
        Action.RECYCLE,
        "the process was forked from one that uses the runtime: use spawn",
    ),
    Text(
        r"NeuronCore\(s\) not available",
        Action.REPLACE,
        "another process has the cores: stop it",
    ),
    Text(
        r"[Rr]untime (could not|cannot) be initialized|Unable to determine Neuron Driver version",
        Action.REPLACE,
        "check that the driver is installed, and that the device is in the container",
    ),
    Text(
        r"requires Neuron Driver version",
        Action.REPLACE,
        "the driver is too old: update it",
    ),
    Text(
        r"Could not open the nd\d",
        Action.REPLACE,
        "there are fewer cores than asked for: check NEURON_RT_NUM_CORES",
    ),
    Text(
        r"mc_alloc|device mempool|Allocation Failure",
        Action.UNLOAD,
        "memory ran out: load fewer programs",
    ),
    Text(
        r"INFER_ERROR_SUBTYPE_NUMERICAL",
        Action.REQUEST_FAULT,
        "the program gave NaN: if other inputs do too, compile with another precision",
    ),
    Text(
        r"Incorrect tensor shape",
        Action.REQUEST_FAULT,
        "a program takes one shape only",
    ),
)

_STATUS = re.compile(r"status(?:[ _]code)?[= ](\d+)")
_RAISED = re.compile(r"\w*Error: ")  # the line of a traceback that is not about places


@dataclass(frozen=True)
class Diagnosis:
    """What a failure is, in one line, and what to do about it."""

    text: str
    action: Optional[Action]  # None: the text says nothing that is known


def diagnose(message: str) -> Diagnosis:
    """Find status code and known words in what an SDK raised, often a traceback of many lines."""
    lines = [line.strip() for line in message.splitlines() if line.strip()] or ["no text"]
    for text in TEXTS:
        for line in lines:
            if re.search(text.pattern, line):
                return Diagnosis(f"{line}; {text.advice}", text.action)
    for line in lines:
        # 0 is success: of another step, beside the one that failed.
        code = next((int(digits) for digits in _STATUS.findall(line) if int(digits)), None)
        if code is not None:
            return _of_code(code, line)
    raised = [line for line in lines if _RAISED.match(line)]
    return Diagnosis((raised or lines)[-1], None)


def _of_code(code: int, line: str) -> Diagnosis:
    status = STATUSES.get(code)
    if status is None:  # of a later runtime
        return Diagnosis(f"{line}; start the worker again", Action.RECYCLE)
    return Diagnosis(f"{line} (NRT_{status.name}); {status.advice}", status.action)
