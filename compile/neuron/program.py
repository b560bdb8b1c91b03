"""One network becomes one compiled program: host check, cache, compile run, inspection, record."""

from __future__ import annotations

import functools
import logging
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, TextIO

import torch
from torch import nn

from compile.errors import BuildError
from compile.neuron.cache import CacheKey, ProgramCache, default_folder, digest_of
from compile.neuron.failure import Evidence, died, explained
from compile.neuron.graph import check_on_chip
from compile.neuron.log import logged_to, not_on_chip, read_log
from compile.neuron.metrics import ERRORS, OUTPUT, read_metrics
from compile.neuron.record import BuildRecord
from compile.neuron.watchdog import Watch, free_memory_bytes, watched
from compile.targets.host import check_host, version
from compile.targets.protocols import Part, Settings
from compile.trace import trace
from depth.files import turn

logger = logging.getLogger(__name__)
_LOWERING = Path(__file__).resolve().parent.parent / "lowering"
_MANGLED = re.compile(r"___torch_mangle_\d+\.")
_LOG, _PROGRAM = "trace.log", "program.pt"  # in the work folder


@dataclass(frozen=True)
class CompileOrder:
    """What a target's own trace function is given."""

    part: Part
    precision: str
    arguments: tuple[str, ...]  # for the compiler
    work: Path  # folder for the compiler's files
    timeout_s: float


@dataclass(frozen=True)
class Toolchain:
    """What differs between torch-neuron and torch-neuronx."""

    target: str
    module: Path  # the source file that calls the SDK
    logger_name: str  # that the SDK logs to
    sdk: Callable[[], Any]  # imports it; HostError if that fails
    keeps_time: bool  # `trace` ends the compiler at the time limit itself; else the watchdog does
    trace: Callable[[CompileOrder], torch.jit.ScriptModule]
    unsupported: Callable[[torch.jit.ScriptModule], str]  # operators in words, with their modules
    arguments: Callable[[str], tuple[str, ...]]  # of a precision, for the compiler
    flags: Callable[[str], tuple[str, ...]]  # of a precision: arguments, and options of the SDK
    packages: tuple[str, ...]  # the SDK's, which make the program beside torch
    fewer: tuple[tuple[str, ...], ...]  # arguments for fewer optimisations, in the order to try
    instance: str  # "Inf1": where a program runs

    def versions(self) -> dict[str, str]:
        """Name and version of what makes a program and is installed."""
        found = {name: version(name) for name in ("torch", *self.packages)}
        return {name: text for name, text in found.items() if text is not None}


def compile_program(
    toolchain: Toolchain,
    part: Part,
    path: Path,
    precision: str,
    extra_arguments: tuple[str, ...],
    settings: Settings,
) -> BuildRecord:
    """Compile a stage of a lowered network into the file `path`.

    Raises HostError if the machine is not fit, CompilerError if the compiler died, BuildError if
    anything would run on the CPU or the SDK refuses the network.
    """
    check_host(toolchain.target)
    toolchain.sdk()
    for port, example in zip(part.stage.inputs, part.examples):
        if str(example.dtype) != f"torch.{port.dtype}":
            raise BuildError(
                f"the example is {str(example.dtype).replace('torch.', '')}; Neuron programs take "
                f"{port.dtype} here: convert it"
            )
    started = time.perf_counter()
    traced = trace(part.module, part.examples)
    arguments = (*toolchain.arguments(precision), *extra_arguments)
    key = _key(toolchain, part, traced, (precision, *arguments))
    place = settings.folder or default_folder()
    cache = ProgramCache(place / "programs")
    work = place / "work" / f"{path.stem}-{key.digest()[:12]}"
    with turn(work.with_name(f"{key.digest()}.lock")):  # another process may be at work on it
        record = cache.fetch(key, path)
        if record is not None:
            return record
        _empty(work)
        order = CompileOrder(part, precision, arguments, work, settings.timeout_s)
        run = CompileRun(toolchain, order, traced, settings)
        run.save(path)
        record = BuildRecord(
            target=toolchain.target,
            precision=precision,
            compiler_arguments=arguments,
            from_cache=False,
            build_s=round(time.perf_counter() - started, 3),
            peak_memory_bytes=run.watch.peak_bytes,
            work_folder=str(work),
            log=run.log,
            subgraphs=read_metrics(work),
        )
        _keep(cache, key, path, record)
    return record


def _keep(cache: ProgramCache, key: CacheKey, path: Path, record: BuildRecord) -> None:
    try:
        cache.store(key, path, record)
    except OSError as error:  # what took hours is there, and is not lost for the next build's time
        logger.warning(
            "%s: the program is built but not kept for the next build: %s",
            cache.folder,
            error.strerror or error,
        )


class CompileRun(Evidence):
    """One run of the compiler. `log` and `watch` hold what it said and took."""

    def __init__(
        self,
        toolchain: Toolchain,
        order: CompileOrder,
        traced: torch.jit.ScriptModule,
        settings: Settings,
    ) -> None:
        watch = Watch(settings.memory_limit_bytes or free_memory_bytes())
        super().__init__(order.work, watch, lambda: toolchain.unsupported(traced))
        self._toolchain = toolchain
        self._order = order
        self._traced = traced

    def save(self, path: Path) -> None:
        """Trace, compile, inspect and save. Raises CompilerError or BuildError."""
        program = self._compiled()
        left = not_on_chip(self.log)
        swallowed = died(self, left)
        if swallowed:  # by the SDK: what died would run on the CPU
            raise swallowed
        check_on_chip(program, self._traced, left)
        saved = self.work / _PROGRAM
        program.save(str(saved))
        shutil.move(str(saved), path)

    def _compiled(self) -> torch.jit.ScriptModule:
        toolchain, log = self._toolchain, self.work / _LOG
        timeout_s = None if toolchain.keeps_time else self._order.timeout_s
        try:
            with ExitStack() as stack:
                stack.enter_context(logged_to(log, toolchain.logger_name))
                stack.enter_context(_children_print_to(self.work))
                stack.enter_context(torch.no_grad())
                stack.enter_context(watched(self.watch, timeout_s))
                program = toolchain.trace(self._order)
        except Exception as error:  # foreign code raises a dozen kinds, some of them documented
            self.error, self.log = error, read_log(log)
            raise explained(self) from error
        self.log = read_log(log)
        return program


def _key(
    toolchain: Toolchain,
    part: Part,
    traced: torch.jit.ScriptModule,
    arguments: tuple[str, ...],
) -> CacheKey:
    sources = [toolchain.module, *sorted(_LOWERING.rglob("*.py"))]
    inlined: Any = traced.inlined_graph
    # Without source paths, and without the numbers that torch gives to classes it has seen before.
    graph = _MANGLED.sub("", inlined.str(False))
    return CacheKey(
        source=digest_of(path.read_bytes() for path in sources),
        graph=digest_of([graph.encode()]),
        weights=digest_of(_weights(part.module)),
        shape=tuple(size for example in part.examples for size in example.shape),
        arguments=arguments,
        versions=toolchain.versions(),
    )


def _weights(network: nn.Module) -> Iterator[bytes]:
    for name, tensor in sorted(network.state_dict().items()):
        yield f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode()
        yield tensor.detach().contiguous().view(-1).numpy().tobytes()


def _empty(work: Path) -> None:
    """Make an empty folder for the compiler's files, which stay there after the run."""
    if work.exists():
        shutil.rmtree(work)
    work.mkdir(parents=True)


@contextmanager
def _children_print_to(work: Path) -> Iterator[None]:
    """Send stdout and stderr of child processes to files: some causes are on stderr only.

    Our own stdout is for results. Our own stderr, with the progress bar, stays where it was.
    """
    sys.stdout.flush()
    stderr = sys.stderr
    stderr.flush()
    sys.stderr = _own_stderr()
    try:
        with _to_file(1, work / OUTPUT), _to_file(2, work / ERRORS):
            try:
                yield
            finally:
                sys.stdout.flush()
    finally:
        sys.stderr = stderr


@contextmanager
def _to_file(stream: int, path: Path) -> Iterator[None]:
    kept = os.dup(stream)
    with path.open("wb") as file:
        os.dup2(file.fileno(), stream)
    try:
        yield
    finally:
        os.dup2(kept, stream)
        os.close(kept)


@functools.cache
def _own_stderr() -> TextIO:
    """This process's stderr under another number, for as long as the process lives.

    It is never closed: the thread of a progress bar may be writing to it.
    """
    number = os.dup(2)
    return open(number, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)
