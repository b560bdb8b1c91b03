"""Which NeuronCores a process finds, may have, and has to share."""

from __future__ import annotations

import os

import pytest

from serve.errors import Action, ProgramError
from serve.runtimes import neuron_cores as cores
from serve.runtimes.neuron_cores import Cores, Device, check_free, find_devices, own, share
from tests.support.neuron_machine import GIB, Machine, device, forked, machine_fixture

__all__ = ["machine_fixture"]
STRANGER = 1  # a process that is not this one


def here(**environment: str) -> Cores:
    found = share(find_devices(4), environment)
    check_free(found)
    return found


def test_neuron_ls_tells_cores_and_memory(machine: Machine) -> None:
    machine.says(device(0), device(1, connected_to=[0]))
    first, second = find_devices(1)
    assert first == Device(0, (0, 1, 2, 3), 8 * GIB, ())
    assert second.core_ids == (4, 5, 6, 7)
    assert here().count == 8


def test_older_tools_do_not_number_the_cores(machine: Machine) -> None:
    old = device(1, count=2)
    for name in ("neuroncore_ids", "cpu_affinity", "numa_node"):
        del old[name]
    machine.says(old)
    assert find_devices(1)[0].core_ids == (2, 3)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", 1),
        ("", 0),
        ("[]", 0),
        ("neuron-ls: unknown flag --json-output", 0),
        ('[{"neuron_device": 0}]', 0),
        ("[[]]", 0),
        ("null", 0),
    ],
)
def test_no_answer_of_neuron_ls_means_counting_nodes(
    machine: Machine, text: str, code: int
) -> None:
    machine.prints(text, code)
    assert here().count == 0
    machine.has_nodes("neuron0")
    assert here().count == 4


def test_a_machine_without_anything_has_no_cores(machine: Machine) -> None:
    assert not list(machine.folder.glob("tools/*"))
    assert here() == Cores(0, (), (), os.getpid())


def test_a_neuron_ls_that_hangs_is_ended(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "_TOOL_TIMEOUT_S", 0.2)
    machine.runs("exec /bin/sleep 60")
    assert here().count == 0


def test_the_tool_on_the_path_comes_second(machine: Machine) -> None:
    machine.prints("[]", tools="on path")
    machine.says(device(0))
    assert here().count == 4
    (machine.folder / "tools/neuron-ls").unlink()
    assert here().count == 0


def test_nodes_are_counted_with_the_cores_that_the_driver_tells(machine: Machine) -> None:
    machine.has_nodes("neuron0", "neuron2", "neuron10", "neuron_control")
    machine.driver_says(2, "2\n")
    assert [found.index for found in find_devices(4)] == [0, 2, 10]
    assert [found.core_ids[0] for found in find_devices(4)] == [0, 4, 40]
    assert [len(found.core_ids) for found in find_devices(4)] == [4, 2, 4]


@pytest.mark.parametrize(
    ("visible", "count", "ids"),
    [
        ("2", "", (2,)),
        ("1-3", "", (1, 2, 3)),
        ("4,5", "", (4, 5)),
        ("0-1, 7", "", (0, 1, 7)),
        ("6-7", "5", (6, 7)),
        ("", "8", tuple(range(8))),
        ("", "0", tuple(range(8))),
    ],
)
def test_the_environment_names_the_cores(
    machine: Machine, visible: str, count: str, ids: tuple[int, ...]
) -> None:
    machine.says(device(0), device(1))
    found = here(NEURON_RT_VISIBLE_CORES=visible, NEURON_RT_NUM_CORES=count)
    assert (found.count, found.ids) == (len(ids), ids)


def test_a_number_of_cores_leaves_the_choice_to_the_runtime(machine: Machine) -> None:
    machine.says(device(0), device(1))
    found = here(NEURON_RT_NUM_CORES="3")
    assert (found.count, found.ids) == (3, ())


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("NEURON_RT_VISIBLE_CORES", "all", "=all: expected a core, as 2, or a range, as 0-3"),
        ("NEURON_RT_VISIBLE_CORES", "1-", "expected a core"),
        ("NEURON_RT_VISIBLE_CORES", "0,,1", "expected a core"),
        ("NEURON_RT_VISIBLE_CORES", "3-1", "names no core, or one twice"),
        ("NEURON_RT_VISIBLE_CORES", "0-1,1", "names no core, or one twice"),
        ("NEURON_RT_VISIBLE_CORES", "3-4", "no core 4 here; there are 0, 1, 2, 3"),
        ("NEURON_RT_NUM_CORES", "-1", "=-1: expected a number of cores"),
        ("NEURON_RT_NUM_CORES", "5", r"=5: there are 4 cores here \(0, 1, 2, 3\)"),
    ],
)
def test_what_the_environment_cannot_mean_is_refused(
    machine: Machine, name: str, value: str, says: str
) -> None:
    machine.says(device(0))
    with pytest.raises(ProgramError, match=says):
        here(**{name: value})


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"NEURON_RT_NUM_CORES": "8"},
        {"NEURON_RT_VISIBLE_CORES": "0-3"},
    ],
)
def test_cores_of_another_process_are_not_taken(
    machine: Machine, environment: dict[str, str]
) -> None:
    machine.says(device(0, pids=(STRANGER,)), device(1))
    with pytest.raises(ProgramError, match=r"device 0: process 1 \(python train.py\); end") as got:
        here(**environment)
    assert got.value.action is Action.REPLACE


@pytest.mark.parametrize(
    "environment",
    [
        {"NEURON_RT_VISIBLE_CORES": "4-7"},
        {"NEURON_RT_VISIBLE_CORES": "1-2"},  # the other process may have 0 and 3
        {"NEURON_RT_NUM_CORES": "7"},  # it may have one only
    ],
)
def test_a_device_can_be_shared(machine: Machine, environment: dict[str, str]) -> None:
    machine.says(device(0, pids=(STRANGER,)), device(1, pids=(os.getpid(),)))
    assert here(**environment).count > 0


def test_the_cores_are_found_once(machine: Machine) -> None:
    machine.says(device(0))
    found = own(4)
    assert found.count == 4
    machine.says(device(0, pids=(STRANGER,)))  # in a container, this very process looks like that
    assert own(4) is found
    cores.forget()
    with pytest.raises(ProgramError, match="other processes have"):
        own(4)


def test_a_forked_process_is_not_the_owner(machine: Machine) -> None:
    machine.says(device(0))
    assert forked(lambda: own(4)) == ""  # nobody has them yet
    own(4)
    assert "forked" in forked(lambda: own(4))
    assert 'get_context("spawn")' in forked(lambda: own(4))
