"""The sequence of compile/README.md, from a checkpoint to a serving machine, as a dry run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from depth.artifact.manifest import read_artifact
from depth.maps.files import read_depth
from tests.support import s3_server
from tests.support.hostile import encoded, picture
from tests.support.places import ROOT

TITLE = "### From a checkpoint to a serving Inf1 instance\n"
SECTION = (ROOT / "compile/README.md").read_text(encoding="utf-8").partition(TITLE)[2]
VALUES, LINES = re.findall(r"```bash\n(.*?)```", SECTION, re.DOTALL)[:2]
STEPS = re.findall(r"^# (\d)\. ([\w ]+): .*\n((?:[^#].*\n)+)", LINES, re.MULTILINE)
MACHINES = ["compile host", "Inf1 instance", "serving instance"]
DRY = {"MODEL": "demo", "TARGET": "openvino", "SIZE": "28x42", "ON_DEVICE": ""}


def test_every_line_belongs_to_a_numbered_step_on_a_machine() -> None:
    assert [number for number, _, _ in STEPS] == [str(n + 1) for n in range(len(STEPS))]
    assert list(dict.fromkeys(machine for _, machine, _ in STEPS)) == MACHINES
    assert sum(commands.count("\n") + 1 for _, _, commands in STEPS) == LINES.count("\n")
    assert set(re.findall(r"(\w+)=", VALUES)) == {*DRY, "STORE"}


@pytest.mark.long
def test_the_lines_run_on_a_cpu_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    s3_server.settings(monkeypatch)
    python = tmp_path / "bin/python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="ascii")
    python.chmod(0o755)
    for machine in MACHINES:
        (tmp_path / machine / "input_images").mkdir(parents=True)
    images = tmp_path / "serving instance/input_images"
    (images / "a.png").write_bytes(encoded(picture(126, 168), "PNG"))
    environment = {
        **os.environ,
        **DRY,
        "STORE": s3_server.location(),
        "AWS_ENDPOINT_URL": s3_server.running().url,
        "PATH": f"{python.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    script = "".join(f"cd '{tmp_path / machine}'\n{commands}" for _, machine, commands in STEPS)
    done = subprocess.run(
        ["bash", "-euc", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (name,) = [path.name for path in (tmp_path / "Inf1 instance/artifacts").iterdir()]
    served = tmp_path / "serving instance"
    artifact = read_artifact(served / "artifacts" / name)
    assert f"\ndemo/openvino/production {artifact.identity} before: nothing\n" in done.stdout
    assert read_depth(served / "output_depth/a.png").depth.values.shape == (126, 168)
