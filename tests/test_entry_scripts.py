"""The commands that users type, without a network; some as processes, others in this one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import cv2
import numpy as np
import pytest
from huggingface_hub.utils import reset_sessions

from compile.untrained import untrained_checkpoint
from depth.family import model_named
from depth.maps.files import read_depth
from depth.maps.preview import WARM_LAST, upstream_levels
from tests.support.hostile import encoded, picture, write_hostile_folder
from tests.support.on_demand import compile_in_this_process
from tests.support.places import ROOT

SCRIPTS = {"inference.py": "depth_anything.inference", "run.py": "depth_anything.upstream.pictures"}
PATHS = ("--input", "--output", "--artifacts", "--checkpoint")
SIDE = str(model_named("demo").size.side_px)


def command(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    script, *rest = arguments
    return subprocess.run(
        [sys.executable, str(ROOT / script), *rest],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def in_this_process(
    cwd: Path, capsys: pytest.CaptureFixture[str], script: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """The same without a new interpreter, and without one for the compiler."""
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cwd)
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        patch.setattr("depth.weights.registry.OWN_CHECKPOINTS", cwd / "none")
        compile_in_this_process(patch)
        patch.setattr(sys, "argv", [script, *arguments])
        with pytest.raises(SystemExit) as ended:
            import_module(SCRIPTS[script]).main()
    reset_sessions()  # those of the hub's client stay offline
    printed = capsys.readouterr()
    code = int(ended.value.code or 0)
    return subprocess.CompletedProcess([script, *arguments], code, printed.out, printed.err)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with images, and weights for the demo network under its own name."""
    folder = tmp_path_factory.mktemp("place")
    write_hostile_folder(folder / "input_images")
    return folder


def test_a_dry_run_says_what_would_be_done(place: Path) -> None:
    options = ("--model", "demo", "--policy", "buckets", "--output", "dry")
    done = command(place, "inference.py", "--dry-run", *options)
    assert done.returncode == 3, done.stderr
    assert "to do: good.jpg: its program 126x168 is not made yet" in done.stdout.splitlines()
    assert "8 to do, 3 failed" in done.stderr  # only decoding shows that a JPEG is cut
    assert not (place / "dry").exists()
    assert not (place / "artifacts").exists()


def test_inference(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--preview", "--format", "png", "--format", "npy")
    done = in_this_process(place, capsys, "inference.py", *options)
    assert done.returncode == 3, done.stderr
    printed = done.stdout.split()
    assert "output_depth/good.jpg.png" in printed
    assert "no weights for vits" in done.stderr
    assert done.stderr.count("failed: ") == 5
    assert "Traceback" not in done.stderr
    depth = read_depth(place / "output_depth/turned.json")
    assert depth.depth.values.shape == (98, 70), "EXIF orientation 6 stands the picture up"
    meta = json.loads((place / "output_depth/turned.json").read_text())
    assert meta["provenance"]["model"] == "demo"
    assert any("no weights for vits" in note for note in meta["source"]["notes"])
    assert meta["source"]["stand_in"] == "demo"
    again = in_this_process(place, capsys, "inference.py", *options)
    assert again.returncode == 3
    assert "compiling" not in again.stderr, "compiled programs are kept"
    assert "6 already there" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--model", "vitx"), 2, "'vitx' is not one of 'demo', 'vits'"),
        (("--policy", "letterbox"), 2, "'letterbox' is not one of 'exact', 'buckets'"),
        (("--target", "inf1"), 2, "runs on its device only"),
        (("--choose",), 2, "--choose asks in a terminal, and there is none: give --model NAME"),
        (("--choose", "--model", "demo"), 2, "leave --model and --checkpoint out"),
        (("--no-stand-in",), 1, "no weights for vits: depth_anything_v2_vits.pth"),
        *(((name, ""), 2, "an empty path") for name in PATHS),
        *(((name, "~nobody-of-this-name/x"), 2, "home directory") for name in PATHS),
        (("--model", "demo", "--input", "~/nowhere"), 2, str(Path.home() / "nowhere")),
        (("--checkpoint", "~/nowhere.pth"), 1, f"{Path.home()}/nowhere.pth: no such file"),
        (("--input", "nowhere"), 2, "nowhere"),
        (("--checkpoint", "nowhere.pth"), 1, "nowhere.pth: no such file"),
        (("--format", "gif", "--model", "demo"), 2, "gif"),
        (("--fov-deg", "0"), 2, "angle of view"),
    ],
)
def test_mistakes_get_one_line_and_a_code(
    place: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    done = in_this_process(place, capsys, "inference.py", "--output", "other", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_input_is_told_before_weights_are_looked_for(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = in_this_process(place, capsys, "inference.py", "--input", "nowhere")
    assert done.returncode == 2
    assert done.stderr == "inference.py: nowhere: no such image or folder of images\n"


def test_run_gives_upstream_s_pictures(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Levels and colours from the values that inference.py gives, laid out as upstream does."""
    flags = ("--encoder", "demo", "--img-path", "input_images/good.png")  # at the model's own size
    (place / "good").mkdir()
    shutil.copy(place / "input_images/good.png", place / "good")
    options = ("--model", "demo", "--input", "good", "--format", "npy", "--output", "values")
    assert in_this_process(place, capsys, "inference.py", *options).returncode == 0
    levels = upstream_levels(np.load(place / "values/good.npy")).astype(int)
    for extra, outdir in ((("--pred-only", "--grayscale"), "gray"), ((), "colour")):
        options = (*flags, "--outdir", outdir, *extra)
        done = (
            command(place, "run.py", *options)
            if extra
            else in_this_process(place, capsys, "run.py", *options)
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{outdir}/good.png\n"
    gray = cv2.imread(str(place / "gray/good.png"))
    assert np.abs(gray - levels[..., None]).max() <= 1
    wide = cv2.imread(str(place / "colour/good.png"))
    photograph = cv2.imread(str(place / "input_images/good.png"))
    height, width = photograph.shape[:2]
    assert wide.shape == (height, width + 50 + width, 3)
    np.testing.assert_array_equal(wide[:, :width], photograph)
    assert (wide[:, width : width + 50] == 255).all()
    coloured = cv2.applyColorMap(upstream_levels(np.load(place / "values/good.npy")), WARM_LAST)
    assert np.mean(np.abs(wide[:, width + 50 :].astype(int) - coloured) > 8) < 0.01


def test_run_reads_a_list_and_keeps_same_names_apart(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "more").mkdir()
    (place / "more/good.png").write_bytes(encoded(picture(seed=9), "PNG"))
    (place / "list.txt").write_text("input_images/good.png\nmore/good.png\n")
    flags = ("--encoder", "demo", "--img-path", "list.txt", "--input-size", SIDE)
    done = in_this_process(place, capsys, "run.py", *flags, "--outdir", "listed")
    assert done.returncode == 0, done.stderr
    names = {"input_images_good.png", "more_good.png"}
    assert {path.name for path in (place / "listed").iterdir()} == names


@pytest.mark.parametrize("encoder", ["da3mono-large", "vits-metric-indoor"])
def test_run_draws_only_models_whose_larger_values_are_nearer(
    place: Path, capsys: pytest.CaptureFixture[str], encoder: str
) -> None:
    done = in_this_process(place, capsys, "run.py", "-i", "input_images", "--encoder", encoder)
    assert done.returncode == 2
    assert f"'{encoder}' is not one of 'demo', 'vits'" in done.stderr


@pytest.mark.parametrize("script", ["inference.py", "run.py"])
def test_the_help_has_a_short_name(
    place: Path, capsys: pytest.CaptureFixture[str], script: str
) -> None:
    done = in_this_process(place, capsys, script, "-h")
    assert done.returncode == 0
    assert all(name in done.stdout for name in ("-i", "-o", "--help"))


def test_run_without_weights_does_not_pretend(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--img-path", "input_images", "--outdir", "never")
    done = in_this_process(place, capsys, "run.py", *flags)
    assert done.returncode == 1
    assert "depth_anything_v2_vitl.pth" in done.stderr
    assert "make checkpoints MODEL=vitl ACCEPT_LICENCE=1" in done.stderr
    assert "python main.py checkpoints fetch vitl --accept-licence" in done.stderr
    assert not [name for name in ("never", "checkpoints") if (place / name).exists()]


def test_a_file_in_checkpoints_is_used_and_its_depth_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    state = untrained_checkpoint(model_named("demo"), seed=5).state
    (tmp_path / "checkpoints").mkdir()
    torch.save(state, tmp_path / "checkpoints/demo.pth")
    (tmp_path / "input_images").mkdir()
    (tmp_path / "input_images/a.png").write_bytes(encoded(picture(), "PNG"))
    options = ("--model", "demo", "--input-size", "56")
    done = in_this_process(tmp_path, capsys, "inference.py", *options)
    assert done.returncode == 0, done.stderr
    looked = {"a.png", "a.json", "a.preview.jpg", "index.html", "depth-report.jsonl"}
    assert {path.name for path in (tmp_path / "output_depth").iterdir()} == looked
    assert done.stderr.endswith("to look: output_depth/index.html\n")
    options = (*options, "--no-preview", "-i", "input_images", "-o", "plain")
    assert in_this_process(tmp_path, capsys, "inference.py", *options).returncode == 0
    plain = looked - {"a.preview.jpg", "index.html"}
    assert {path.name for path in (tmp_path / "plain").iterdir()} == plain
    meta = json.loads((tmp_path / "output_depth/a.json").read_text())
    assert meta["provenance"]["weights"] == "demo.pth"
    assert meta["source"]["notes"] == []
    assert "stand_in" not in meta["source"]
