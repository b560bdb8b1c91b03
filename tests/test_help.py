"""Every command explains itself, at once and without torch."""

from __future__ import annotations

import re

import pytest

from tests.support.fresh_python import run_python

HELPS = {
    ("inference.py",): ["--policy", "--dry-run", "--keep-failed", "--focal-px", "vits"],
    ("run.py",): ["--img-path", "--encoder", "--pred-only", "--grayscale", "--outdir"],
    ("main.py",): ["inference", "run", "checkpoints", "compile", "serve"],
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
    ("-m", "serve", "bench"): ["--rounds", "--json"],
    ("-m", "serve", "doctor"): ["--artifacts", "--json"],
    ("-m", "serve", "folder"): ["--policy", "--dry-run", "--preprocess", "--focal-px"],
    ("-m", "depth_anything"): ["inference", "run", "checkpoints", "compile", "serve"],
    ("main.py", "checkpoints"): ["list", "fetch"],
    ("main.py", "checkpoints", "fetch"): ["--accept-licence"],
}

_HELP = """
import runpy, sys
first, *rest = sys.argv[1:]
try:
    if first == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [first, *rest]
        sys.path.insert(0, "")
        runpy.run_path(first, run_name="__main__")
except SystemExit as ended:
    heavy = {"torch", "openvino", "onnxruntime", "huggingface_hub", "cv2"} & set(sys.modules)
    sys.exit(ended.code or (f"loads {heavy}" if heavy else 0))
"""


@pytest.mark.parametrize("arguments", HELPS, ids=" ".join)
def test_help_is_quick_and_names_what_there_is(arguments: tuple[str, ...]) -> None:
    done = run_python(
        "-c", _HELP, *arguments, "--help", COLUMNS="200", _TYPER_FORCE_DISABLE_TERMINAL="1"
    )
    assert (done.returncode, done.stderr) == (0, "")
    for words in HELPS[arguments]:
        assert re.search(rf"(?<![\w-]){words}(?![\w-])", done.stdout), words
