"""Rules about the Neuron driver, tools and devices, each with the fix.

Sources: AWS Neuron SDK documentation (driver support of Inf1 as corrected in March 2026, release
notes of the runtime, configuration and troubleshooting of the runtime).
"""

from __future__ import annotations

from collections.abc import Iterator

from depth.chips import INF1, INF2, SDKS, install_command, parsed
from depth.neuron_runtime import EXEC_TIMEOUT, EXEC_TIMEOUT_S, limit_in_force
from serve.doctor.facts import Facts, Neuron
from serve.doctor.findings import NOTE, OK, PROBLEM, WARNING, Finding, outside
from serve.scheduling.worker import Limits

_RUNTIME, _TOOLS = "aws-neuronx-runtime-lib", "aws-neuronx-tools"
_PIN_DRIVER = (
    "sudo apt-get install aws-neuronx-dkms=2.24.*, or sudo yum install aws-neuronx-dkms-2.24.*; "
    "and hold it there"
)


def device_findings(facts: Facts) -> Iterator[Finding]:
    """All about Neuron; one note if there is nothing of it here."""
    neuron = facts.neuron
    if neuron.chip is None and neuron.driver is None:
        yield Finding(NOTE, "neuron", "no Neuron device: CPU targets only")
        return
    yield from _devices(neuron)
    yield from _driver(neuron)
    yield from _runtime(facts)
    yield from _tools(facts)
    yield from _environment(neuron)


def _devices(neuron: Neuron) -> Iterator[Finding]:
    if not neuron.devices:
        yield Finding(
            PROBLEM,
            "devices",
            f"{neuron.instance_type or 'the driver is loaded'}, and no device /dev/neuron*",
            "in a container: start it with --device /dev/neuron0; on the host: install "
            "aws-neuronx-dkms with the headers of the running kernel, then: sudo modprobe neuron",
        )
        return
    cores = sum(len(device.core_ids) for device in neuron.devices)
    sizes = [device.memory_bytes for device in neuron.devices]
    memory = "" if None in sizes else f", {sum(s or 0 for s in sizes) / 2**30:.0f} GiB on them"
    yield Finding(
        OK,
        "devices",
        f"{neuron.instance_type or neuron.chip}: {len(neuron.devices)} devices, {cores} "
        f"NeuronCores{memory}",
    )
    if neuron.closed_nodes:
        yield Finding(
            PROBLEM,
            "devices",
            f"{', '.join(neuron.closed_nodes)}: this user may not open it",
            "sudo chmod 666 on it, or give the container the device with --device",
        )
    if neuron.cores_problem:
        yield Finding(
            PROBLEM,
            "cores",
            neuron.cores_problem,
            "end the other process, or correct NEURON_RT_NUM_CORES and NEURON_RT_VISIBLE_CORES",
        )


def _driver(neuron: Neuron) -> Iterator[Finding]:
    if neuron.driver is None:
        yield Finding(
            WARNING if neuron.devices else PROBLEM,
            "driver",
            "no version of a loaded driver in /sys/module/neuron",
            "a container may hide it; on the host: sudo modprobe neuron, or install "
            "aws-neuronx-dkms",
        )
    elif neuron.chip == INF1 and outside(neuron.driver, "", "2.25"):
        yield Finding(
            PROBLEM,
            "driver",
            f"driver {neuron.driver} on Inf1: 2.24 is the last one for it",
            _PIN_DRIVER,
        )
    elif neuron.chip == INF1 and outside(neuron.driver, "2.21", ""):
        yield Finding(
            WARNING,
            "driver",
            f"driver {neuron.driver} on Inf1: 2.21 and 2.24 are the ones that AWS names for it",
            _PIN_DRIVER,
        )
    else:
        yield Finding(OK, "driver", f"driver {neuron.driver}")
    loaded, on_disk = neuron.driver, neuron.driver_on_disk
    if loaded and on_disk and parsed(loaded) != parsed(on_disk):
        yield Finding(
            WARNING,
            "driver",
            f"driver {loaded} is loaded, {on_disk} is on disk and comes with the next boot",
            "stop what uses the cores, then: sudo rmmod neuron; sudo modprobe neuron",
        )


def _runtime(facts: Facts) -> Iterator[Finding]:
    neuron = facts.neuron
    library = neuron.system_packages.get(_RUNTIME)
    if neuron.chip == INF1 and outside(library, "", "2.23"):
        yield Finding(
            PROBLEM,
            "runtime",
            f"{_RUNTIME} {library} on Inf1: Inf1 was removed from it in 2.23",
            f"sudo apt-get remove {_RUNTIME}, or sudo yum remove {_RUNTIME}; torch-neuron brings "
            "its own",
        )
    if neuron.chip == INF2 and neuron.system_packages and library is None:
        yield Finding(
            PROBLEM,
            "runtime",
            f"no {_RUNTIME}: torch-neuronx cannot start without it",
            f"sudo apt-get install {_RUNTIME} aws-neuronx-collectives",
        )
    if neuron.chip is None:
        return
    sdk = SDKS[neuron.chip].package
    if facts.version(sdk) is None:
        yield Finding(
            PROBLEM,
            "runtime",
            f"no {sdk} in this environment: programs of {neuron.chip} cannot be loaded",
            install_command(neuron.chip, "serve"),
        )
    else:
        yield Finding(OK, "runtime", f"{sdk} {facts.version(sdk)}")


def _tools(facts: Facts) -> Iterator[Finding]:
    neuron = facts.neuron
    missing = [name for name in ("neuron-ls", "neuron-monitor") if name not in neuron.tools]
    if missing:
        yield Finding(
            WARNING,
            "tools",
            f"no {' and no '.join(missing)}: cores are counted from device nodes, other owners of "
            "them are not seen, and there are no metrics of the chip",
            f"sudo apt-get install '{_TOOLS}=2.*'; it puts them into /opt/aws/neuron/bin",
        )
    else:
        yield Finding(OK, "tools", ", ".join(neuron.tools.values()))
    version = neuron.system_packages.get(_TOOLS)
    kind, libc = facts.libc
    if kind == "glibc" and outside(version, "", "2.26") and outside(libc, "2.34", ""):
        yield Finding(
            WARNING,
            "tools",
            f"{_TOOLS} {version} needs glibc 2.34, here is {libc}: the tools do not start",
            f"sudo yum install {_TOOLS}-2.25.145.0, or a newer system",
        )


def _environment(neuron: Neuron) -> Iterator[Finding]:
    if "NEURONCORE_GROUP_SIZES" in neuron.environment:
        yield Finding(
            WARNING,
            "environment",
            "NEURONCORE_GROUP_SIZES is set: the runtime does not use it any more",
            "use NEURON_RT_NUM_CORES or NEURON_RT_VISIBLE_CORES",
        )
    yield _time_limit(neuron)
    dump = neuron.environment.get("NEURON_RT_DBG_DUMP_INPUTS_ON_ERR", "0")
    if dump != "0":
        yield Finding(
            WARNING,
            "environment",
            f"NEURON_RT_DBG_DUMP_INPUTS_ON_ERR={dump}: images of failed runs are written to "
            "input_dump_* in the current folder",
            "unset it unless these files are wanted",
        )


def _time_limit(neuron: Neuron) -> Finding:
    limit_s, ours = limit_in_force(neuron.environment), Limits.run_timeout_s
    if EXEC_TIMEOUT not in neuron.environment:
        return Finding(
            OK,
            "environment",
            f"the runtime ends a run after {limit_s:g} s: serving sets {EXEC_TIMEOUT}, since the "
            "environment does not",
        )
    text = f"{EXEC_TIMEOUT}={neuron.environment[EXEC_TIMEOUT]} is set in the environment"
    if 0 < limit_s < ours:
        return Finding(OK, "environment", f"the runtime ends a run after {limit_s:g} s: {text}")
    return Finding(
        WARNING,
        "environment",
        f"{text}: not a time below {ours:g} s, after which serving takes a core that hangs out of "
        "service",
        f"unset it, which means {EXEC_TIMEOUT_S} s, or set fewer than {ours:g} s",
    )
