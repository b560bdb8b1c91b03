"""Installed from a wheel, the product is whole: the bundled model, the commands, the extras."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest
import tomli

from depth.errors import EXTRAS
from depth.maps.files import read_depth
from tests.support.places import ROOT

PROJECT = tomli.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WHEEL = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
BUNDLED = "depth/weights/checkpoints/demo/demo.safetensors"
SAMPLE = ROOT / "input_images" / "samples" / "hall.jpg"
LEAN = {"torch", "safetensors", "huggingface_hub", "onnx", "boto3", "transformers", "nncf"}

NAMES = {"botocore": "boto3", "grpc": "grpcio"}  # what brings a package of another name

_DEPTH = "from depth_anything.cli import main; main()"
_ABSENT = "raise ModuleNotFoundError(f\"No module named '{__name__}'\", name=__name__)"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages as the wheel fills it, by pyproject.toml."""
    folder = tmp_path_factory.mktemp("site")
    for name in WHEEL["packages"]:
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=unwanted)
    for name in WHEEL["exclude"]:
        shutil.rmtree(folder / name)
    for source, target in WHEEL["force-include"].items():
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / source, folder / target)
    return folder


def depth(
    site: Path, cwd: Path, *words: object, without: Collection[str] = ()
) -> subprocess.CompletedProcess[str]:
    """The installed command `depth`, in an environment that lacks some packages."""
    absent = cwd / "absent"
    absent.mkdir(exist_ok=True)
    for name in without:
        (absent / f"{name}.py").write_text(_ABSENT)
    return subprocess.run(
        [sys.executable, "-c", _DEPTH, *map(str, words)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": f"{absent}:{site}", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_wheel_has_exactly_these_files(site: Path, tmp_path: Path) -> None:
    own = ROOT / ".tools" / "uv" / "bin" / "uv"
    uv = str(own) if own.is_file() else shutil.which("uv")
    if uv is None:
        pytest.skip("there is no uv to build a wheel with")
    words = (uv, "build", "-q", "--wheel", "-o", str(tmp_path), str(ROOT))
    built = subprocess.run(words, capture_output=True, text=True, check=False)
    if built.returncode:
        pytest.skip(f"no wheel could be built here: {built.stderr.strip()[-200:]}")
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        found = {name for name in file.namelist() if ".dist-info/" not in name}
        scripts = [file.read(n).decode() for n in file.namelist() if n.endswith("entry_points.txt")]
    assert BUNDLED in found
    assert found == {p.relative_to(site).as_posix() for p in site.rglob("*") if p.is_file()}
    assert scripts == ["[console_scripts]\ndepth = depth_anything.cli:main\n"]


@pytest.mark.long
def test_the_installed_command_runs_the_bundled_model(site: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(SAMPLE, tmp_path / "in")
    done = depth(site, tmp_path, "inference", "--model", "demo", "--input", "in", "--output", "out")
    assert (done.returncode, done.stdout) == (0, "out/hall.png\n"), done.stderr
    (artifact,) = (tmp_path / "artifacts").iterdir()
    # Without torch the artifact answers.
    words = ("serve", "folder", artifact, "--input", "in", "--output", "lean")
    done = depth(site, tmp_path, *words, without=LEAN)
    assert done.returncode == 0, done.stderr
    found = [read_depth(tmp_path / name / "hall.json").depth.values for name in ("out", "lean")]
    np.testing.assert_array_equal(*found)


@pytest.mark.long
@pytest.mark.parametrize(
    ("package", "words"),
    [
        ("torch", ("inference", "--model", "demo", "--input", SAMPLE.parent)),
        ("torch", ("compile", "build", "--model", "demo", "--size", "56x70")),
        ("safetensors", ("compile", "build", "--model", "demo", "--size", "56x70")),
        ("huggingface_hub", ("checkpoints", "fetch", "vits")),
        ("boto3", ("serve", "list", "--store", "s3://bucket/prefix")),
    ],
)
def test_a_missing_package_is_named_with_its_extra(
    site: Path, tmp_path: Path, package: str, words: tuple[object, ...]
) -> None:
    done = depth(site, tmp_path, *words, without=[package])
    assert done.returncode == 1, done.stdout
    assert f'{package}, which is not installed: pip install ".[{EXTRAS[package]}]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_every_extra_that_a_message_names_is_there() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    for package, extra in EXTRAS.items():
        names = [name for line in extras[extra] for name in re.findall(r"^[\w-]+", line)]
        brought = NAMES.get(package, package.replace("_", "-"))
        assert brought in names, f"{extra} does not bring {package}"


def test_serving_has_extras_without_torch() -> None:
    lean = [*PROJECT["project"]["dependencies"]]
    for extra in ("serve-openvino", "serve-onnx", "s3"):
        lean += PROJECT["project"]["optional-dependencies"][extra]
    names = {re.findall(r"^[\w-]+", line)[0].replace("-", "_") for line in lean}
    assert not names & {"torch", "torchvision", "safetensors", "huggingface_hub", "onnx"}
