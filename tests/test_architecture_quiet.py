"""What importing our modules does: nothing. Every module of every folder, in new interpreters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from depth.family import FAMILIES
from tests.support.architecture import PACKAGES, SCRIPTS, Source, below, sources
from tests.support.fresh_python import run_python
from tests.support.places import ROOT

MODULES = sources(*PACKAGES)

# What may load torch: files, and folders with all below them. All else must load without it.
HEAVY = (
    "compile/build/build.py",
    "compile/build/describe.py",
    "compile/build/fastest/build.py",
    "compile/build/programs.py",
    "compile/build/proven.py",
    "compile/build/scenes.py",
    "compile/graph.py",
    "compile/int8/layers.py",
    "compile/int8/nncf.py",
    "compile/int8/trials.py",
    "compile/job/run.py",
    "compile/job/steps.py",
    "compile/lowering",
    "compile/macs.py",
    "compile/neuron/builder.py",
    "compile/neuron/failure.py",
    "compile/neuron/fallbacks.py",
    "compile/neuron/graph.py",
    "compile/neuron/inf1.py",
    "compile/neuron/inf2.py",
    "compile/neuron/program.py",
    "compile/parity/again.py",
    "compile/parity/device.py",
    "compile/parity/scenes.py",
    "compile/parity/together.py",
    "compile/parts.py",
    "compile/precision/casts.py",
    "compile/precision/forecast.py",
    "compile/precision/report.py",
    "compile/precision/rounding.py",
    "compile/precision/scenes.py",
    "compile/precision/steps.py",
    "compile/precision/survey.py",
    "compile/preflight/check.py",
    "compile/preflight/costs.py",
    "compile/preflight/findings.py",
    "compile/preflight/fitting.py",
    "compile/preflight/inf1.py",
    "compile/preflight/inf2.py",
    "compile/preflight/memory.py",
    "compile/preflight/programs.py",
    "compile/preflight/scenes.py",
    "compile/preflight/report.py",
    "compile/preflight/shapes.py",
    "compile/preflight/table.py",
    "compile/shapes_only.py",
    "compile/specialise.py",
    "compile/targets/torchscript.py",
    "compile/trace.py",
    "compile/untrained.py",
    "depth/network",
    "depth/weights/checkpoint.py",
    "serve/runtimes/neuron.py",
    "serve/runtimes/neuron_program.py",
    "serve/runtimes/neuronx.py",
    "depth_anything/da3/eager.py",
    "depth_anything/first_run/experiments",
    "serve/runtimes/torchscript.py",
)
# Of a family, what must load without torch.
LIGHT_IN_FAMILY = ("__init__.py", "config.py", "published.py")
# Packages that not everybody has: a module that needs one may be missing it, and nothing else.
NOT_EVERYWHERE = (
    "nncf",
    "torch_neuron",
    "torch_neuronx",
    "boto3",
    "botocore",
    "ray",
    "fastapi",
    "google",
    "grpc",
    "prometheus_client",
    "starlette",
    "uvicorn",
)
# Variables that a module of ours may read when it is imported. None today.
READ_AT_IMPORT: tuple[str, ...] = ()


def is_heavy(path: str) -> bool:
    if path.split("/")[0] in FAMILIES:
        return path.split("/", 1)[1] not in LIGHT_IN_FAMILY
    return below(path, HEAVY, "/")


def names(files: Sequence[Source]) -> list[str]:
    return [file.module for file in files if not file.path.endswith("__main__.py")]


LIGHT = [file for file in MODULES if not is_heavy(file.path)]

# A package before the real torch, which takes seconds to load: it ends the process instead.
_NO_TORCH = "raise SystemExit\n"
_LOAD = """
import importlib, sys
sys.path[:0] = {folders}
for name in {names}:
    try:
        importlib.import_module(name)
    except SystemExit:
        sys.exit(f'{{name}} loads torch')
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in {missing}:
            raise
"""
# What an import may change, without torch itself.
_LITTLE_TORCH = """
float32, grad = "float32", True
get_num_threads = lambda: 1
get_default_dtype = lambda: float32
is_grad_enabled = lambda: grad
def set_grad_enabled(value):
    global grad
    grad = value
class cuda:
    is_initialized = staticmethod(lambda: False)
"""

_WATCH = """
import importlib, os, sys
quiet = True
def hook(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "subprocess.Popen"):
        frame = sys._getframe()
        while frame and not frame.f_code.co_filename.startswith({ours}):
            frame = frame.f_back
        if frame or event != "subprocess.Popen":
            print(name, event, arguments)
def watched(method, verb):
    def watch(self, key, *value):
        frame = sys._getframe(1)
        while frame.f_code.co_filename.endswith(("/os.py", "/_collections_abc.py")):
            frame = frame.f_back
        if frame.f_code.co_filename.startswith({ours}) and key not in {allowed}:
            print(name, verb, key)
        return method(self, key, *value)
    return watch
os._Environ.__getitem__ = watched(os._Environ.__getitem__, "reads")
os._Environ.__setitem__ = watched(os._Environ.__setitem__, "sets")
sys.addaudithook(hook)
sys.path[:0] = {folders}
torch = None
for name in {names}:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in {missing}:
            raise
    if torch is None and "torch" in sys.modules:
        torch = sys.modules["torch"]
        threads = torch.get_num_threads()
name = "one of them"
if torch is not None:
    grad, kind = torch.is_grad_enabled(), torch.get_default_dtype()
    if (threads, grad, kind) != (torch.get_num_threads(), True, torch.float32):
        print(name, "changes torch's threads, gradients or default type")
    if torch.cuda.is_initialized():
        print(name, "chooses a device")
"""


def loading(modules: Sequence[str], place: Path) -> str:
    """What is wrong with loading these modules, some perhaps in `place`, without torch, or ""."""
    (place / "torch.py").write_text(_NO_TORCH)
    code = _LOAD.format(names=list(modules), folders=[str(place)], missing=NOT_EVERYWHERE)
    done = run_python("-W", "error", "-c", code)
    return done.stdout + done.stderr


def importing(modules: Sequence[str], *folders: str) -> str:
    """What importing these modules does besides, or ""."""
    code = _WATCH.format(
        names=list(modules),
        folders=list(folders),
        missing=NOT_EVERYWHERE,
        allowed=READ_AT_IMPORT,
        ours=tuple(f"{place}/" for place in (folders or [str(ROOT / p) for p in PACKAGES])),
    )
    done = run_python("-W", "error", "-c", code)
    return done.stdout + done.stderr


def test_light_modules_load_without_torch(tmp_path: Path) -> None:
    found = names(LIGHT)
    for name in ("depth.artifact.manifest", "depth.preprocess", "serve.engine", "compile.cli"):
        assert name in found
    for name in FAMILIES:
        assert f"{name}.config" in found
    assert loading(found, tmp_path) == ""


def test_heavy_paths_exist() -> None:
    """A path that has moved would let its successor through, or nothing at all."""
    assert [place for place in HEAVY if not (ROOT / place).exists()] == []


def test_importing_anything_does_nothing() -> None:
    assert importing(names([*MODULES, *sources(*SCRIPTS)])) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import torch\n", "example loads torch"),
        ("import depth.network.vit\n", "example loads torch"),
        ("import nothing_like_this\n", "No module named 'nothing_like_this'"),
    ],
)
def test_a_module_that_loads_torch_is_reported(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "example.py").write_text(text)
    assert said in loading(["example"], tmp_path)


SEEN = {
    "says": ("print('hello')", "hello"),
    "logs": ("import sys\nprint('good bye', file=sys.stderr)", "good bye"),
    "reads": ("import os\nos.environ.get('HF_ENDPOINT')", "reads reads HF_ENDPOINT"),
    "asks": ("import os\nx = 'HOME' in os.environ", "asks reads HOME"),
    "sets": ("import os\nos.environ['OMP_NUM_THREADS'] = '3'", "sets sets OMP_NUM_THREADS"),
    "looks": ("import socket\nsocket.getaddrinfo('127.0.0.1', 1)", "looks socket.getaddrinfo"),
    "runs": ("import subprocess\nsubprocess.run(['true'])", "runs subprocess.Popen"),
    "changes": ("import torch\ntorch.set_grad_enabled(False)", "changes torch's"),
}


def test_effects_of_an_import_are_reported(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text(_LITTLE_TORCH)
    for name, (text, _) in SEEN.items():
        (tmp_path / f"{name}.py").write_text(text)
    found = importing([*SEEN], str(tmp_path))
    assert [said for _, said in SEEN.values() if said not in found] == []
    (tmp_path / "warns.py").write_text("import warnings\nwarnings.warn('old')\n")
    assert "UserWarning: old" in importing(["warns"], str(tmp_path))


def test_is_heavy_goes_by_path() -> None:
    assert is_heavy("depth/network/vit.py")
    assert is_heavy(f"{FAMILIES[0]}/network.py")
    assert not is_heavy("serve/bench/network.py")
    assert not is_heavy(f"{FAMILIES[0]}/config.py")
    assert not is_heavy("depth/networks.py")
