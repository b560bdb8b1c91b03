"""A checkout with a small Inf1 environment, for `make setup-neuron`.

A test module that imports `machine_fixture` has the fixture `machine`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.places import ROOT
from tests.support.wheels import WRONG, indexes, wheel

OWN_UV = ROOT / ".tools" / "uv" / "bin" / "uv"
UV = str(OWN_UV) if OWN_UV.is_file() else os.environ.get("UV") or shutil.which("uv")
TORCH_NEURON, NEURON_CC = "1.13.1.2.11.13.0", "1.24.0.0"
KEPT = {"torch": "1.13.1", "torchvision": "0.14.1", "setuptools": "69.5.1"}
LANE = {**KEPT, "numpy": "1.23.5", "protobuf": "3.20.3"}
MODULES = {
    "torch/__init__.py": "",
    "torch/utils/__init__.py": "",
    "torch/utils/cpp_extension.py": "import pkg_resources\n",
    "pkg_resources.py": "",
}


@dataclass
class Machine:
    """A checkout with a small Inf1 environment, AWS's index, and the public registry."""

    checkout: Path
    aws: Path
    registry: Path
    address: str

    @property
    def site(self) -> Path:
        (found,) = (self.checkout / ".venv-inf1/lib").glob("python*/site-packages")
        return found

    def setup(self, role: str, **environment: str) -> subprocess.CompletedProcess[str]:
        settings = {
            **os.environ,
            "UV": str(UV),
            "UV_CACHE_DIR": str(self.checkout / "cache"),
            "UV_HTTP_RETRIES": "0",
            "UV_DEFAULT_INDEX": f"{self.address}/registry",
            "NEURON_INDEX": f"{self.address}/aws",
            "no_proxy": "127.0.0.1",
            **environment,
        }
        command = ["make", "--no-print-directory", "setup-neuron", f"ROLE={role}"]
        return subprocess.run(
            command, cwd=self.checkout, env=settings, capture_output=True, text=True
        )

    def lane(self, name: str, version: str) -> None:
        """A package is installed in the environment, by its metadata."""
        for other in self.site.glob(f"{name.replace('-', '_')}-*.dist-info"):
            shutil.rmtree(other)
        made = self.site / f"{name.replace('-', '_')}-{version}.dist-info"
        made.mkdir()
        told = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (made / "METADATA").write_text(told)
        (made / "RECORD").write_text(f"{made.name}/METADATA,,\n{made.name}/RECORD,,\n")

    def ready(self) -> None:
        """The lane is as locked, as infra/setup.sh leaves it."""
        code = "cat infra/locks/{inf1,build}.txt | sha256"
        code = f'. infra/tools.sh; echo "$({code}) $PWD" >.venv-inf1/.ready'
        subprocess.run(["bash", "-c", code], cwd=self.checkout, check=True)

    def versions(self) -> dict[str, str]:
        """Name and version of what is installed in the environment."""
        found = (path.name[: -len(".dist-info")] for path in self.site.glob("*.dist-info"))
        pairs = (name.split("-", 1) for name in found)
        return {name.replace("_", "-"): version for name, version in pairs}


@pytest.fixture(name="machine")
def machine_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    if UV is None:
        pytest.skip("there is no uv to install with")
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):  # of the make that runs these tests
        monkeypatch.delenv(name, raising=False)
    checkout = tmp_path / "a checkout"
    shutil.copytree(ROOT / "infra", checkout / "infra")
    shutil.copy(ROOT / "Makefile", checkout)
    environment = checkout / ".venv-inf1"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    with indexes(tmp_path) as address:
        made = Machine(checkout, tmp_path / "aws", tmp_path / "registry", address)
        fill(made)
        yield made


def fill(machine: Machine) -> None:
    """Both indexes, and the lane's packages in the environment."""
    aws, registry = machine.aws, machine.registry
    tool = {"neuron_cc.py": "def main():\n    print('usage')\n"}
    extra = 'tensorflow==1.15.5.post1; extra == "tensorflow"'
    wheel(aws, "torch-neuron", TORCH_NEURON, {"torch_neuron.py": "import torch\n"}, "torch==1.13.1")
    needs = (extra, "dmlc-tvm==1.19.6.0", "islpy", "scipy<=1.10.1", "setuptools")
    wheel(aws, "neuron-cc", NEURON_CC, tool, *needs, tool="neuron-cc")
    wheel(aws, "dmlc-tvm", "1.19.6.0+0", {"tvm.py": ""})
    wheel(aws, "tensorflow", "1.15.5.post1", {"tensorflow.py": ""}, "numpy<2")
    wheel(aws, "numpy", "1.21.0", {"numpy.py": ""})  # another release than the lock's
    wheel(aws, "islpy", "2021.1", {"islpy.py": ""})
    for name in ("torch-neuron", "neuron-cc", "dmlc-tvm", "islpy", "tensorflow"):  # placeholders
        wheel(registry, name, "9999", {f"{name.replace('-', '_')}.py": WRONG})
    wheel(registry, "dmlc-tvm", "1.19.6.0", {"tvm.py": WRONG})
    wheel(registry, "scipy", "1.10.1", {"scipy.py": ""})
    wheel(registry, "setuptools", "69.5.1", {"setuptools.py": ""})
    lock = ""
    for name, version in (("numpy", "1.22.2"), ("protobuf", "3.19.5")):
        made = wheel(registry, name, version, {f"{name}.py": ""})
        lock += f"{name}=={version} --hash=sha256:{hashlib.sha256(made.read_bytes()).hexdigest()}\n"
    (machine.checkout / "infra/locks/neuron.txt").write_text(lock)
    for name, version in LANE.items():
        machine.lane(name, version)
    for path, text in MODULES.items():
        (machine.site / path).parent.mkdir(parents=True, exist_ok=True)
        (machine.site / path).write_text(text)
    machine.ready()
