"""What the Neuron runtime's codes and texts are taken for."""

from __future__ import annotations

import pickle
from typing import Optional

import pytest

from serve.errors import Action, ProgramError
from serve.runtimes.neuron_status import STATUSES, TEXTS, diagnose
from tests.support.neuron_machine import TRACEBACK


@pytest.mark.parametrize(
    ("code", "action"),
    [
        (1, Action.RECYCLE),
        (2, Action.ARTIFACT_FAULT),
        (3, Action.RECYCLE),
        (4, Action.UNLOAD),
        (5, Action.RECYCLE),
        (6, Action.REPLACE),
        (7, Action.BACK_PRESSURE),
        (9, Action.REPLACE),
        (10, Action.ARTIFACT_FAULT),
        (11, Action.UNLOAD),
        (13, Action.RECYCLE),
        (14, Action.RECYCLE),
        (15, Action.RETRY),
        (101, Action.RECYCLE),
        (1002, Action.REQUEST_FAULT),
        (1003, Action.REQUEST_FAULT),
        (1004, Action.RETRY),
        (1005, Action.RETRY),
        (1006, Action.REQUEST_FAULT),
        (1100, Action.RECYCLE),
        (1200, Action.REPLACE),
        (1201, Action.REPLACE),
        (1202, Action.REPLACE),
        (1203, Action.REPLACE),
        (1204, Action.RECYCLE),
        (1205, Action.REPLACE),
        (1206, Action.RECYCLE),
    ],
)
def test_a_status_code_tells_what_helps(code: int, action: Action) -> None:
    found = diagnose(TRACEBACK.format(f"nrt_execute status={code} message=..."))
    assert found.action is action
    name = STATUSES[code].name
    assert found.text.startswith(f"RuntimeError: nrt_execute status={code} message=... (NRT_{name}")
    assert found.text.endswith(f"; {STATUSES[code].advice}")


def test_every_code_and_text_is_tested() -> None:
    assert len(STATUSES) == 27
    assert all(
        any(TEXTS[i].advice in diagnose(t).text for t, _ in QUOTES) for i in range(len(TEXTS))
    )


QUOTES = [
    ("Could not load the model status=4 message=Allocation Failure", Action.UNLOAD),
    ("neuron:mc_alloc: device mempool [DRAM] total 8 needed 9 available 1", Action.UNLOAD),
    (
        "NRT:nrt_allocate_neuron_cores NeuronCore(s) not available - Requested:nc1-nc1 Available:0",
        Action.REPLACE,
    ),
    ("The PyTorch Neuron Runtime could not be initialized.", Action.REPLACE),
    ("Neuron runtime cannot be initialized; cannot determine the number", Action.REPLACE),
    ("Unable to determine Neuron Driver version", Action.REPLACE),
    ("This runtime requires Neuron Driver version 2.8 or later", Action.REPLACE),
    ("Could not open the nd1", Action.REPLACE),
    ("Unknown type name '__torch__.torch.classes.neuron.Model':", Action.REPLACE),
    ("nrt_execute Incompatible runtime state: NRT_STATE_CHILD", Action.RECYCLE),
    ("NEURON_HW_ERR=NC_PARITY instance-id=i-0 action=TERMINATE_INSTANCE", Action.REPLACE),
    ("Error notifications on nd0 nc0; action=INFER_ERROR_SUBTYPE_NUMERICAL", Action.REQUEST_FAULT),
    ("Incorrect tensor shape at input tensor 0", Action.REQUEST_FAULT),
]


@pytest.mark.parametrize(("text", "action"), QUOTES)
def test_documented_texts_tell_what_helps(text: str, action: Action) -> None:
    found = diagnose(TRACEBACK.format(text))
    assert found.action is action
    assert text in found.text
    assert "\n" not in found.text


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("status=5; NEURON_HW_ERR=HBM_UE", Action.REPLACE),  # a hang of known cause
        ("nrt_init status=0, nrt_load status=10", Action.ARTIFACT_FAULT),
        ("(NRT_EXEC_UNIT_UNRECOVERABLE status_code=101)", Action.RECYCLE),
        ("nrt status code 1004", Action.RETRY),
        ("status=4711", Action.RECYCLE),  # of a later runtime
        ("status=0", None),
        ("PytorchStreamReader failed reading zip archive", None),
        ("", None),
    ],
)
def test_what_is_told_apart(text: str, action: Optional[Action]) -> None:
    assert diagnose(text).action is action


def test_of_an_unknown_error_the_line_that_says_it_is_told() -> None:
    text = "no such thing\n\nAt:\n  convert.py(4): forward"
    assert diagnose(TRACEBACK.format(text)).text == "RuntimeError: no such thing"
    assert diagnose("Unknown builtin op\nneuron::forward").text == "neuron::forward"
    assert diagnose(" \n").text == "no text"


def test_a_failure_carries_its_action_between_processes() -> None:
    assert ProgramError("a").action is None
    failure = pickle.loads(pickle.dumps(ProgramError("b", Action.UNLOAD)))
    assert (str(failure), failure.action) == ("b", Action.UNLOAD)
