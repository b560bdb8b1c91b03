"""The Ray Data job. The only module that imports ray; it is loaded on use.

Ray repeats the batch of a worker that died, so an image may be worked on twice. The keys of its
result and the conditional puts make sure that it has one result all the same.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from typing import Any, Optional

import ray
from ray.data import ActorPoolStrategy, DataContext

from depth.errors import InputError
from serve.jobs.entry import Entry
from serve.jobs.objects.listing import Waiting
from serve.jobs.objects.run import Run
from serve.ray.wire import dump_waiting, parse_entry
from serve.ray.worker import ENTRY, LEFT, RESTART, WAITING, Duty, Worker

CORES = "neuron_cores"  # Ray's name of the resource
_WINDOW = 50_000  # images whose keys are in the driver's memory at once
_BATCH = 32  # images that a worker is given at a time
_BATCHES_AT_ONCE = 2  # of a worker: while the last images of a batch are written, the next begins
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


class RayJob:
    """Has the workers of a cluster do the work of a run.

    neuron   a worker takes one NeuronCore; else the CPU of a machine
    workers  at once; by default one per NeuronCore or machine
    """

    def __init__(self, run: Run, duty: Duty, neuron: bool, workers: Optional[int]) -> None:
        self.restart = False
        self._run = run
        self._duty = duty
        self._neuron = neuron
        self._workers = workers or _places(neuron)

    def do(self, waiting: Iterator[Waiting]) -> Iterator[Entry]:
        """The entries of the images, as workers finish them."""
        while window := list(islice(waiting, _WINDOW)):
            with closing(self._window(window)) as entries:
                yield from entries
            if self._run.stop.requested():
                return

    def _window(self, window: list[Waiting]) -> Generator[Entry, None, None]:
        context = DataContext.get_current()
        context.enable_progress_bars = False
        rows = [{WAITING: dump_waiting(each)} for each in window]
        batches = -(-len(rows) // _BATCH)
        found = ray.data.from_items(rows, override_num_blocks=batches).map_batches(
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
        for row in found.iter_rows():
            if row[LEFT]:
                reason = str(row[LEFT])
                self.restart |= reason.startswith(RESTART)
                self._run.stop.request(reason[len(RESTART) * reason.startswith(RESTART) :])
            if row[ENTRY]:
                yield parse_entry(row[ENTRY])
            if self._run.stop.requested():
                return


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
