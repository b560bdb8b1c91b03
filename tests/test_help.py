"""Every command explains itself, at once and without torch."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.fresh_python import run_python
from tests.support.places import ROOT

HELPS = {
    ("inference.py",): ["--policy", "--dry-run", "--keep-failed", "--focal-px", "vits"],
    ("app.py",): ["--model", "--policy", "--samples", "--port"],
    ("run.py",): ["--img-path", "--encoder", "--pred-only", "--grayscale", "--outdir"],
    ("main.py",): ["inference", "run", "checkpoints", "compile", "serve", "schema", "import"],
    ("main.py", "inference"): ["--preprocess", "--output-size", "--fov-deg", "--intrinsics"],
    ("main.py", "compile", "build"): ["--size", "--batch"],
    ("-m", "compile"): ["job", "build", "preflight", "precision", "plan", "inspect", "promote"],
    ("-m", "compile", "job"): ["--store", "--precision", "--accept-licence"],
    ("-m", "compile", "preflight"): ["--passes", "--no-lowering"],
    ("-m", "compile", "precision"): ["--images", "--out"],
    ("-m", "compile", "plan"): ["--instance", "--decode-ms"],
    ("-m", "compile", "push"): ["--store", "--endpoint-url"],
    ("-m", "compile", "promote"): ["--expect", "--allow-unverified"],
    ("-m", "compile", "build"): ["--size", "--batch", "--precision", "--checkpoint", "--force"],
    ("-m", "compile", "parity"): ["--checkpoint", "--images", "--on-device"],
    ("-m", "serve"): ["folder", "bench", "doctor"],
    ("-m", "serve", "s3"): ["--shard", "--verify", "--alias", "--endpoint-url", "--dry-run"],
    ("-m", "serve", "ray"): ["--address", "--workers", "--artifact", "--dry-run"],
    ("-m", "serve", "fetch"): ["RESULTS", "OUT", "--endpoint-url"],
    ("-m", "serve", "bench"): ["--rounds", "--json"],
    ("-m", "serve", "doctor"): ["--artifacts", "--json"],
    ("-m", "serve", "http"): ["--model", "--scenes-root", "--gallery"],
    ("-m", "serve", "folder"): ["--policy", "--dry-run", "--preprocess", "--focal-px"],
    ("-m", "depth_anything"): ["inference", "run", "checkpoints", "compile", "serve"],
    ("main.py", "da3"): [
        "auto",
        "image",
        "images",
        "video",
        "colmap",
        "backend",
        "gallery",
        "gradio",
    ],
    ("main.py", "da3", "auto"): [
        "--model-dir",
        "--fps",
        "--sparse-subdir",
        "--use-backend",
        "--wait",
    ],
    ("main.py", "da3", "images"): ["--image-extensions", "--auto-cleanup", "--use-ray-pose"],
    ("main.py", "da3", "video"): ["--fps", "--window", "--overlap", "--most-views"],
    ("main.py", "da3", "colmap"): ["--sparse-subdir", "--align-to-input-ext-scale"],
    ("main.py", "da3", "backend"): ["--root", "--gallery-dir", "--token-file", "--port"],
    ("main.py", "da3", "gallery"): ["--open-browser", "--port"],
    ("main.py", "da3", "gradio"): ["--workspace-dir", "--share", "--cache-gs-tag"],
    ("main.py", "panorama"): ["--views", "--align", "--cube-faces", "--save-views", "--fps"],
    ("main.py", "evaluate"): ["--align", "--crop", "--truth-scale", "--report"],
    ("main.py", "run-video"): ["--video-path", "--encoder", "--pred-only", "--grayscale"],
    ("main.py", "pointcloud"): ["--load-from", "--max-depth", "--focal-length-x"],
    ("-m", "serve", "panorama"): ["--artifact", "--views", "--cube-faces"],
    ("main.py", "export"): ["--image", "--to", "--fov-deg"],
    ("main.py", "masks"): ["--images", "--layout", "--artifact", "--farthest", "--dilate"],
    ("-m", "serve", "masks"): ["--class", "--near", "--replace"],
    ("-m", "compile", "import"): ["--as", "--classes", "--names", "--target"],
    ("main.py", "checkpoints"): ["list", "fetch"],
    ("main.py", "checkpoints", "fetch"): ["--accept-licence"],
}

# All of them in one process. A command that loads something heavy is named, as are all after it.
_HELP = """
import contextlib, io, json, runpy, sys
sys.path.insert(0, "")
found = []
for first, *rest in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            sys.argv = [*(rest if first == "-m" else [first, *rest]), "--help"]
            if first == "-m":
                runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
            else:
                runpy.run_path(first, run_name="__main__")
            code = "no exit"
        except SystemExit as ended:
            code = ended.code
    heavy = {"torch", "openvino", "onnxruntime", "huggingface_hub", "cv2"} & set(sys.modules)
    found.append([code, out.getvalue(), err.getvalue(), sorted(heavy)])
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def printed() -> dict[tuple[str, ...], str]:
    """What each command prints."""
    done = run_python(
        "-c", _HELP, json.dumps(list(HELPS)), COLUMNS="200", _TYPER_FORCE_DISABLE_TERMINAL="1"
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = dict(zip(HELPS, json.loads(done.stdout)))
    for arguments, (code, _, err, heavy) in found.items():
        assert (code, err, heavy) == (0, "", []), arguments
    return {arguments: out for arguments, (_, out, _, _) in found.items()}


@pytest.mark.parametrize("arguments", HELPS, ids=" ".join)
def test_help_is_quick_and_names_the_options(
    printed: dict[tuple[str, ...], str], arguments: tuple[str, ...]
) -> None:
    for words in HELPS[arguments]:
        assert re.search(rf"(?<![\w-]){words}(?![\w-])", printed[arguments]), words


def test_the_help_and_the_readme_begin_with_the_same_lines_of_python(
    printed: dict[tuple[str, ...], str],
) -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    code = page.partition("```python\n")[2].partition("```")[0]
    lines = [line.partition("  #")[0].rstrip() for line in code.splitlines() if line]
    assert len(lines) == 3
    helped = printed["main.py",]
    assert helped.index(lines[0]) < helped.index("Commands:")
    wanted = [line.strip().partition("  #")[0].rstrip() for line in helped.splitlines()]
    first = wanted.index(lines[0])
    assert wanted[first : first + 3] == lines
