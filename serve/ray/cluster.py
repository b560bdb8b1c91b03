"""The Ray Data job. The only module that imports ray; it is loaded on use.

Ray repeats the batch of a worker that died, so an image may be worked on twice. The keys of its
result and the conditional puts make sure that it has one result all the same.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from itertools import islice
from typing import Any, Optional

import ray
from ray.data import ActorPoolStrategy, DataContext
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from depth.errors import InputError
from serve.jobs.entry import Entry
from serve.jobs.objects.listing import Waiting
from serve.jobs.objects.run import Run
from serve.ray.draining import drained
from serve.ray.wire import dump_waiting, parse_entry
from serve.ray.worker import ENTRY, LEFT, RESTART, WAITING, Duty, Worker

CORES = "neuron_cores"  # Ray's name of the resource
_WINDOW = 50_000  # images whose keys are in the driver's memory at once
_BATCH = 32  # images that a worker is given at a time
_BATCHES_AT_ONCE = 2  # of a worker: while the last images of a batch are written, the next begins
_FINISH_S = 60.0  # after a stop; a spot notice leaves 120 s
_ANSWER_S = 10.0  # in which the notice of a stop has to answer
# Ray's default sends statistics to its makers, and takes the variable of cores from other workers.
_SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


@contextmanager
def cluster(address: Optional[str]) -> Iterator[None]:
    """A connection to a cluster until the block ends.

    address  of its head, or `auto` for the cluster that this machine belongs to. Without it,
             RAY_ADDRESS counts, or else Ray starts here, on loopback, and ends with the block
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    for name in ("ray", "ray.data"):  # the job shows its progress itself
        logging.getLogger(name).setLevel(logging.ERROR)
    local = address is None and not os.environ.get("RAY_ADDRESS")
    here: dict[str, Any] = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    ours = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    ray.init(
        address=address,
        logging_level=logging.WARNING,
        log_to_driver=False,
        **(here if local else {}),
    )
    for number, handler in ours.items():  # Ray's own would end the job without its report
        signal.signal(number, handler)
    try:
        yield
    finally:
        ray.shutdown()


class _Notice:
    """An actor that knows why the workers are to stop; "" until then."""

    def __init__(self) -> None:
        self._reason = ""

    def post(self, reason: str) -> None:
        self._reason = reason

    def reason(self) -> str:
        return self._reason


class Notice:
    """A notice of the driver that its workers can read; it is on the driver's machine."""

    def __init__(self) -> None:
        node = ray.get_runtime_context().get_node_id()
        here = NodeAffinitySchedulingStrategy(node, soft=True)
        actor: Any = ray.remote(_Notice)
        self._actor = actor.options(num_cpus=0, scheduling_strategy=here).remote()

    def post(self, reason: str) -> None:
        """Ask every worker to begin no further image."""
        self._actor.post.remote(reason)

    def __call__(self) -> str:
        """Why the driver asks for a stop; "" until then, and where nobody answers."""
        with suppress(RayError):
            return str(ray.get(self._actor.reason.remote(), timeout=_ANSWER_S))
        return ""


class RayJob:
    """Has the workers of a cluster do the work of a run.

    neuron   a worker takes one NeuronCore; else the CPU of a machine
    workers  at once; by default one per NeuronCore or machine
    """

    def __init__(self, run: Run, duty: Duty, neuron: bool, workers: Optional[int]) -> None:
        self.restart = False
        self._run = run
        self._notice = Notice()
        self._duty = replace(duty, stopped=self._notice)
        self._neuron = neuron
        self._workers = workers or _places(neuron)

    def do(self, waiting: Iterator[Waiting]) -> Iterator[Entry]:
        """The entries of the images, as workers finish them.

        After a stop, workers finish the images under way, within a limit.
        """
        while window := list(islice(waiting, _WINDOW)):
            with closing(self._window(window)) as entries:
                yield from entries
            if self._run.stop.requested():
                return

    def _window(self, window: list[Waiting]) -> Generator[Entry, None, None]:
        context = DataContext.get_current()
        context.enable_progress_bars = False
        keys = [{WAITING: dump_waiting(each)} for each in window]
        batches = -(-len(keys) // _BATCH)
        found = ray.data.from_items(keys, override_num_blocks=batches).map_batches(
            Worker,
            fn_constructor_args=(self._duty,),
            batch_size=_BATCH,
            compute=ActorPoolStrategy(
                size=min(self._workers, batches), max_tasks_in_flight_per_actor=4
            ),
            num_cpus=0,  # the default of 1 would leave the readers none
            max_concurrency=_BATCHES_AT_ONCE,
            resources={CORES: 1} if self._neuron else None,
            scheduling_strategy="SPREAD",
        )
        rows = drained(found.iter_rows(), self._run.stop, self._notice.post, _FINISH_S)
        with closing(rows):
            for row in rows:
                if row[LEFT]:
                    reason = str(row[LEFT])
                    self.restart |= reason.startswith(RESTART)
                    self._run.stop.request(reason[len(RESTART) * reason.startswith(RESTART) :])
                if row[ENTRY]:
                    yield parse_entry(row[ENTRY])


def _places(neuron: bool) -> int:
    """How many workers the cluster has room for. Raises InputError if it has none."""
    if not neuron:
        return sum(node["Alive"] for node in ray.nodes())
    cores = int(ray.cluster_resources().get(CORES, 0))
    if not cores:
        raise InputError(
            f"the cluster has no {CORES}: Ray finds them with /opt/aws/neuron/bin/neuron-ls; or "
            f'declare them in the cluster file, resources: {{"{CORES}": 4}}'
        )
    return cores
