"""`inference.py --choose` on a terminal: the table, the question, and licences."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from depth.family import image_models
from depth.weights.registry import published_files
from tests.support.places import ROOT

# The job itself is left out: it prints which weights it would take.
_ASKS = """
import sys
from pathlib import Path
import compile.weights, depth_anything.choosing as choosing, depth.weights.registry as registry
import depth_anything.inference as inference
registry.OWN_CHECKPOINTS = Path("none")
def fetched(file, folder, accept_licence=False):
    folder.mkdir(exist_ok=True)
    (folder / file.local_name).write_bytes(b"weights")
    print("fetched", file.model, accept_licence, file=sys.stderr)
choosing.fetch = fetched
def weights(model, checkpoint, target, precision):
    print("runs", model, file=sys.stderr)
    raise SystemExit
inference.weights_of = weights
sys.argv[1:] = ["--choose"]
inference.main()
"""
OFFERED = [name for name in published_files() if name in image_models()]  # scenes: main.py da3
NUMBERS = {name: number for number, name in enumerate([*OFFERED, "demo"], start=1)}


def asked(folder: Path, *answers: str) -> tuple[int, str]:
    """Exit code, and what stood on the terminal after these answers."""
    (folder / "input_images").mkdir(exist_ok=True)
    own, other = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", _ASKS],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        stdin=other,
        stdout=other,
        stderr=other,
        start_new_session=True,
    ) as process:
        os.close(other)
        os.write(own, "".join(f"{answer}\n" for answer in answers).encode())
        shown = b""
        while True:
            try:
                found = os.read(own, 4096)
            except OSError:  # EIO: the other side was closed
                break
            if not found:
                break
            shown += found
    os.close(own)
    return process.returncode, shown.decode().replace("\r\n", "\n")


def test_the_table_has_licence_size_and_what_is_here(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / published_files()["vits"].local_name).write_bytes(b"")
    code, shown = asked(tmp_path, "99", "x", str(NUMBERS["demo"]))
    assert code == 0, shown
    rows = {line.split()[1]: line.split() for line in shown.splitlines() if "Apache" in line[:60]}
    assert rows["vits"][:5] == ["1", "vits", "99", "MB", "wrong"]
    last = NUMBERS["demo"]
    assert rows["demo"][:7] == [str(last), "demo", "7", "MB", "yes", "Apache-2.0", "bundled:"]
    assert "2   vitb " in shown
    assert "CC-BY-NC-4.0 *" in shown
    assert f"99 is not in the range 1<=x<={last}" in shown
    assert shown.endswith("runs demo\n")
    assert "fetched" not in shown, "the model is here"


def test_a_model_that_anyone_may_use_is_fetched_at_once(tmp_path: Path) -> None:
    code, shown = asked(tmp_path, str(NUMBERS["vits"]))
    assert code == 0, shown
    assert shown.endswith("fetched vits True\nruns vits\n")
    assert "accept this licence" not in shown


@pytest.mark.parametrize("answer", ["y", "n", ""])
def test_a_licence_is_asked_for_where_it_must_be_accepted(tmp_path: Path, answer: str) -> None:
    code, shown = asked(tmp_path, str(NUMBERS["vitb"]), answer)
    assert "vitb: CC-BY-NC-4.0. Read https://huggingface.co/" in shown
    assert "Do you accept this licence? [y/N]" in shown
    if answer == "y":
        assert (code, "fetched vitb True\nruns vitb" in shown) == (0, True)
    else:
        assert code != 0
        assert "inference.py: vitb: licence not accepted; nothing was downloaded" in shown
        assert "runs" not in shown
    assert (tmp_path / "checkpoints").exists() == (answer == "y")


def test_what_is_here_is_not_asked_for_again(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/vitb.pth").write_bytes(b"weights")
    code, shown = asked(tmp_path, str(NUMBERS["vitb"]))
    assert code == 0, shown
    assert shown.endswith("runs vitb\n")
    assert "accept this" not in shown
