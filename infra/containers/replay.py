"""Builds an image and starts it; without a container engine, replays its steps in a fresh root.

python infra/containers/replay.py serve-cpu --store FOLDER --reference NAME --image FILE

Without an engine it needs Linux, root and Python 3.9. Steps that add Debian's packages are left
out, by name; so are steps that need AWS's index, unless NEURON_INDEX names an index. Prints what it
saw as JSON. The exit code is 1 if something failed: an install step, the start, the health check,
an answer, or a module that must not be there.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import root as fresh  # noqa: E402 - of this folder, which is no package
from instructions import Stage, needs, stages  # noqa: E402

CHECKOUT = HERE.parents[1]
REFUSED = {
    "serve-cpu": ["torch", "torch_neuron", "neuroncc", "tensorflow", "compile"],
    "serve-inf1": ["neuroncc", "tensorflow", "openvino", "compile"],
    "compile": [],
}
WRITABLE = ("/var/lib/depth", "/work")
Report = dict[str, Any]


def main() -> int:
    options = _options()
    report = _with_engine(options) if _engine_answers() else _replayed(options)
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    return int("failed" in report)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", choices=sorted(REFUSED))
    parser.add_argument("--store", type=Path, help="folder store that the container pulls from")
    parser.add_argument("--reference", default="", help="alias or identity in it")
    parser.add_argument("--image", type=Path, help="picture to send to the service")
    return parser.parse_args()


def _probe_folder(options: argparse.Namespace, stage: Stage, work: Path) -> Path:
    """The folder that is mounted at /probe: the probe, its plan and the picture."""
    folder = work / "probe"
    folder.mkdir()
    plan = {
        "command": [*stage.entrypoint, *stage.command],
        "health": stage.health,
        "refused": REFUSED[options.name],
        "image": "/probe/image" if options.image else None,
    }
    (folder / "plan.json").write_text(json.dumps(plan))
    shutil.copy(HERE / "probe.py", folder)
    if options.image:
        shutil.copy(options.image, folder / "image")
    folder.chmod(0o755)
    return folder


def _named(options: argparse.Namespace) -> dict[str, str]:
    named = {"DEPTH_STORE": "/store", "DEPTH_REFERENCE": options.reference}
    return named if options.store else {}


def _verdict(text: str, returncode: int) -> Report:
    """What the probe printed last; `failed` if it found something wrong or said nothing."""
    lines = text.strip().splitlines()
    seen: Report = json.loads(lines[-1]) if lines else {"failed": "the probe said nothing"}
    return {"failed": "see above", **seen} if returncode else seen


def _replayed(options: argparse.Namespace) -> Report:
    report: Report = {"image": options.name, "by": "replay in a fresh root", "left out": []}
    with tempfile.TemporaryDirectory(prefix="replay-") as name:
        work = Path(name)
        work.chmod(0o755)
        roots: dict[str, Path] = {}
        for stage in stages(HERE / f"{options.name}.Dockerfile"):
            roots[stage.name] = work / f"root-{stage.name}"
            fresh.make(roots[stage.name])
            for word, rest in stage.steps:
                report.update(_step(word, rest, stage, roots, report["left out"]))
                if "failed" in report:
                    return report
        report["MB without the base image"] = _megabytes(roots[stage.name] / "opt")
        return {**report, **_started(options, stage, roots[stage.name], work)}


def _step(
    word: str, rest: str, stage: Stage, roots: dict[str, Path], left_out: list[str]
) -> Report:
    if word == "COPY":
        _copy(shlex.split(rest), roots, roots[stage.name])
        return {}
    missing = needs(rest, os.environ)
    if missing:
        left_out.append(f"RUN {' '.join(rest.split())[:60]}...: {missing}")
        return {}
    given = {name: os.environ.get(name, value) for name, value in stage.arguments.items()}
    began = time.monotonic()
    command = ["/bin/sh", "-ec", rest]
    done = fresh.enter(roots[stage.name], command, {**given, **stage.variables})
    sys.stderr.write(f"{time.monotonic() - began:.0f} s: RUN {rest[:70]}\n{done.stdout[-500:]}")
    return {"failed": f"exit code {done.returncode} of RUN {rest}"} if done.returncode else {}


def _copy(words: list[str], roots: dict[str, Path], target_root: Path) -> None:
    source_root = CHECKOUT
    if words[0].startswith("--from="):
        source_root = roots[words.pop(0).partition("=")[2]]
    *sources, target = words
    place = target_root / target.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    if target.endswith("/"):
        place.mkdir(parents=True, exist_ok=True)
    skip = shutil.ignore_patterns("__pycache__") if source_root == CHECKOUT else None
    for source in (source_root / name.lstrip("/") for name in sources):
        if source.is_dir():
            shutil.copytree(source, place, symlinks=True, ignore=skip, dirs_exist_ok=True)
        else:
            shutil.copy(source, place)


def _started(options: argparse.Namespace, stage: Stage, root: Path, work: Path) -> Report:
    volumes = [(_probe_folder(options, stage, work), "/probe")]
    volumes += [(options.store.resolve(), "/store")] if options.store else []
    for target in WRITABLE:
        volume = work / target[1:].replace("/", "-")
        volume.mkdir()
        os.chown(volume, *map(int, stage.user.split(":")))
        volumes.append((volume, target))
    for _, target in volumes:
        (root / target[1:]).mkdir(parents=True, exist_ok=True)
    done = fresh.enter(
        root,
        ["python", "/probe/probe.py", "/probe/plan.json"],
        {**stage.variables, **_named(options)},
        user=stage.user,
        folder=stage.folder,
        volumes=volumes,
        sealed=True,
    )
    return _verdict(done.stdout, done.returncode)


def _megabytes(folder: Path) -> int:
    said = subprocess.run(["du", "-sm", str(folder)], check=True, stdout=subprocess.PIPE, text=True)
    return int(said.stdout.split()[0])


def _engine_answers() -> bool:
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _with_engine(options: argparse.Namespace) -> Report:
    tag, file = f"depth-{options.name}", HERE / f"{options.name}.Dockerfile"
    index = os.environ.get("NEURON_INDEX")
    extra = ["--build-arg", f"NEURON_INDEX={index}"] if index else []
    build = ["docker", "build", "-q", "-f", str(file), "-t", tag, *extra, str(CHECKOUT)]
    subprocess.run(build, check=True, stdout=sys.stderr)
    inspect = ["docker", "image", "inspect", "--format", "{{.Size}}", tag]
    size = subprocess.run(inspect, check=True, stdout=subprocess.PIPE, text=True).stdout
    with tempfile.TemporaryDirectory(prefix="probe-") as name:
        Path(name).chmod(0o755)
        folder = _probe_folder(options, stages(file)[-1], Path(name))
        words = ["docker", "run", "--rm", "--read-only", "--network=none", "--cap-drop=ALL"]
        words += ["--tmpfs=/tmp", f"--volume={folder}:/probe:ro"]
        words += [f"--tmpfs={target}:uid=10001,gid=10001" for target in WRITABLE]
        words += [f"--volume={options.store.resolve()}:/store:ro"] if options.store else []
        words += [f"--env={name}={value}" for name, value in _named(options).items()]
        words += ["--entrypoint=python", tag, "/probe/probe.py", "/probe/plan.json"]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True)
    report = {"image": options.name, "by": "docker", "MB with the base image": int(size) >> 20}
    return {**report, **_verdict(done.stdout, done.returncode)}


if __name__ == "__main__":
    sys.exit(main())
