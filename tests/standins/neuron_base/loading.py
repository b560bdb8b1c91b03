"""`torch.jit.load` and `save` of programs, as the import of an SDK changes them.

A real program holds an object of the class `neuron.Model`, which is written in C++ and goes to its
core when the file is read. A class written in Python cannot be part of TorchScript. So a file of
the stand-ins is a TorchScript file whose code names that class, with the program inside: torch
alone refuses it in the same words. `torch.jit.load` unwraps it, and puts the program on a core.
"""

from __future__ import annotations

import functools
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional, Union

import torch
from torch import Tensor

from neuron_base.runtime import Model, placeholders

_INSIDE = "program.pt"  # the record with the program
_TYPE = "__torch__.torch.classes.neuron.Model"
_FAILED = """The following operation failed in the TorchScript interpreter.
Traceback of TorchScript, serialized code (most recent call last):
  File "code/__torch__/torch_neuron/convert.py", line 9, in forward
    _0 = ops.neuron.forward_v2_1([images], self.model)
         ~~~~~~~~~~~~~~~~~~~~~~~ <--- HERE
RuntimeError: {}
"""


@dataclass(frozen=True)
class Bound:
    """The model of a program that is all on the chip, and how the program calls it."""

    model: Model
    dynamic_batch: bool
    outputs: Union[int, Sequence[int]]  # places in what the model gives


Bind = Callable[[Any], Optional[Bound]]  # None: parts of the program run on the CPU


class Loaded:
    """A program that was read from a file. It holds memory of its core as long as it lives."""

    def __init__(self, program: Any, bound: Bound) -> None:
        self._program = program
        self._bound = bound

    def __getattr__(self, name: str) -> Any:
        return getattr(self._program, name)

    def __call__(self, *tensors: Tensor) -> Any:
        """Not through TorchScript, where an operator written in Python is unsafe in threads.

        In it torch 1.13 hides which Python object belongs to a tensor, and drops the exception.
        """
        bound = self._bound
        try:
            found = bound.model.run(list(tensors), bound.dynamic_batch)
        except (RuntimeError, ValueError) as error:
            raise RuntimeError(_FAILED.format(error)) from None
        places = bound.outputs
        return found[places] if isinstance(places, int) else tuple(found[i] for i in places)


def install(bind: Bind) -> None:
    """From now on `torch.jit.load` puts programs on a core; `bind` finds the model of a program."""
    jit_load = torch.jit.load

    @functools.wraps(jit_load)
    def load(f: Any, *arguments: Any, **options: Any) -> Any:
        data = Path(f).read_bytes() if isinstance(f, (str, Path)) else f.read()
        inside = _unwrapped(data)
        program = jit_load(io.BytesIO(data if inside is None else inside), *arguments, **options)  # type: ignore[no-untyped-call]
        bound = None if inside is None else bind(program)
        return program if bound is None else Loaded(program, bound)

    torch.jit.load = load


def traces(trace: Callable[..., Any]) -> Callable[..., Any]:
    """A tracer whose programs need no chip to be made, and are saved as files of the stand-ins."""

    @functools.wraps(trace)
    def traced(*arguments: Any, **options: Any) -> Any:
        with placeholders():
            program = trace(*arguments, **options)
        to_buffer = program.save_to_buffer

        def save_to_buffer(**extra: Any) -> bytes:
            return _wrapped(to_buffer(**extra))

        def save(f: Union[str, Path], **extra: Any) -> None:
            Path(f).write_bytes(save_to_buffer(**extra))

        for name, function in (("save", save), ("save_to_buffer", save_to_buffer)):
            object.__setattr__(program, name, function)  # torch would set it on a module inside
        return program

    return traced


class _Holder(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


def _wrapped(program: bytes) -> bytes:
    outer = io.BytesIO()
    torch.jit.save(torch.jit.script(_Holder()), outer)
    made = io.BytesIO()
    with zipfile.ZipFile(outer) as old, zipfile.ZipFile(made, "w") as new:
        for record in old.infolist():
            data = old.read(record)
            if record.filename.endswith(".py"):
                data = data.replace(b"  training : bool\n", f"  model : {_TYPE}\n".encode())
            new.writestr(zipfile.ZipInfo(record.filename), data)
        root = record.filename.partition("/")[0]
        new.writestr(zipfile.ZipInfo(f"{root}/{_INSIDE}"), program)
    return made.getvalue()


def _unwrapped(data: bytes) -> Optional[bytes]:
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return None
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        names = [name for name in file.namelist() if name.endswith(f"/{_INSIDE}")]
        return file.read(names[0]) if names else None
