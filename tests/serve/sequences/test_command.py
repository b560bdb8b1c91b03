"""`--sequence` on the command line, with a program of the demo network."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from serve.__main__ import main
from serve.sequences.cli import flicker_line
from tests.support.commands import ended
from tests.support.programs import make_artifact
from tests.support.sequences import pan, write_frames


def test_serve_folder_takes_a_sequence(tmp_path: Path) -> None:
    artifact = make_artifact(tmp_path).folder
    frames, out = write_frames(tmp_path / "in", pan(3)), tmp_path / "out"
    asked = ("folder", artifact, "--sequence", "-i", frames, "-o", out, "--fps", "10")
    found = ended(main, "python -m serve", *asked, "--range", "streaming")
    assert found.code == 0, found.err
    assert found.out.split() == [str(out / "depth.mkv"), str(out / "sequence.json")]
    assert re.search(r"flicker \d\.\d{3} → \d\.\d{3} \([+−]\d+ %\)", found.err)
    about = json.loads((out / "sequence.json").read_text(encoding="utf-8"))
    assert (about["range"], about["align"]) == ("streaming", "neighbours")
    assert [each["seconds"] for each in about["frames"]] == [0, 0.1, 0.2]

    found = ended(main, "python -m serve", *asked, "--fps", "0")
    assert (found.code, "--fps 0: expected over 0" in found.err) == (2, True)


@pytest.mark.parametrize("option", [("--range", "frame"), ("--align", "none"), ("--fps", "5")])
def test_options_of_a_sequence_need_a_sequence(option: tuple[str, str], tmp_path: Path) -> None:
    found = ended(main, "python -m serve", "folder", tmp_path, *option)
    assert found.code == 2
    assert f"{option[0]}: an option of frames in order: give --sequence too" in found.err


def test_the_line_about_flicker() -> None:
    figures = {"before": 0.0311, "after": 0.0121, "own_range": None}
    assert flicker_line(figures) == "flicker 0.031 → 0.012 (−61 %)"
    assert flicker_line({"before": 0.0, "after": 0.0, "own_range": 0.0}).startswith("flicker 0.000")
    assert flicker_line({"before": None, "after": None, "own_range": None}) == ""
    assert flicker_line({}) == ""
