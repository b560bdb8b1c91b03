"""`python -m compile` as users type it: outputs, exit codes, and one line for an error."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from depth.artifact.manifest import Artifact, Gate, read_artifact
from depth.files import sha256_bytes
from serve.__main__ import main as serve
from tests.support.commands import ended
from tests.support.compile_command import command
from tests.support.fresh_python import run_python
from tests.support.networks import build_demo, rewrite
from tests.support.places import ROOT

LIMIT = "(depth max_rel 0.0005, depth mean_rel 5e-05)"
BUILD = ("build", "--model", "demo", "--checkpoint", "untrained", "--images", "no-such-folder")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return build_demo(tmp_path_factory.mktemp("built"))


@pytest.fixture
def copied(built: Artifact, tmp_path: Path) -> Artifact:
    """A copy that a test may spoil."""
    return read_artifact(shutil.copytree(built.folder, tmp_path / built.folder.name))


def alter_weights(artifact: Artifact) -> None:
    """Every weight 1 % larger: a program that still runs, and gives other numbers."""
    (path,) = artifact.folder.glob("programs/*.bin")
    weights = np.frombuffer(path.read_bytes(), np.float32).copy()
    weights[np.abs(weights) > 1e-6] *= np.float32(1.01)  # less are the whole numbers of a shape
    path.write_bytes(weights.tobytes())


def test_build_prints_the_folder_and_shows_progress_on_stderr(tmp_path: Path) -> None:
    ended = command(*BUILD, "--size", "28x42", "--batch", 2, "--out", tmp_path)
    assert ended.code == 0
    artifact = read_artifact(Path(ended.out.rstrip("\n")))
    assert [(p.size, p.batch) for p in artifact.manifest.programs] == [((28, 42), 2)]
    assert ended.err.splitlines() == [
        "reading the weights of demo",
        "preparing the network for images of 3:2, 2 at a time, 28x42 px",
        "compiling for images of 3:2, 2 at a time (once, about 5 s)",
        "checking it against the original",
    ]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--size", "57x70"), "height 57 px: must be a multiple of 14; nearest is 56"),
        (("--size", "56"), "size '56': expected HEIGHTxWIDTH in px, like 518x686"),
        (("--size", "14000x14000"), "196000000 px, the limit is 1605632"),
        (("--model", "vitx"), "no model 'vitx'; choose from demo, vits, vitb"),
        (
            ("--precision", "int4"),
            "target 'openvino' has no precision 'int4'; choose from fp32, bf16, int8",
        ),
        (("--batch", "0"), "batch 0: must be at least 1"),
    ],
)
def test_a_wrong_value_is_a_usage_error_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...], text: str
) -> None:
    ended = command(*BUILD, "--out", tmp_path / "out", *arguments)
    assert ended.code == 2
    assert text in ended.line()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_has_a_whole_sentence_for_each_command(
    monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ended = command(word)
    assert ended.code == 0
    commands = ended.out.partition("\nCommands:\n")[2].splitlines()
    assert [line.split()[0] for line in commands][:2] == ["job", "build"]
    assert [line for line in commands if not line.endswith(".") or line.endswith("...")] == []


@pytest.mark.parametrize(
    ("name", "targets"),
    {
        "build": "[openvino|onnx|torchscript|inf1|inf2]",
        "job": "[openvino|onnx|torchscript|inf1|inf2]",
        "preflight": "[inf1|inf2]",
        "precision": "[inf1|inf2]",
    }.items(),
)
def test_help_lists_the_targets(name: str, targets: str) -> None:
    ended = command(name, "-h")
    assert ended.code == 0
    assert f"  --target {targets} " in " ".join(ended.out.split("\n"))


def test_help_says_how_long_a_compiler_may_run() -> None:
    text = " ".join(command("build", "-h").out.split())
    assert (
        "after this long; by default 2 hours. A try with an easier try behind it has half" in text
    )


WRONG_WORDS = [
    *(
        [name, *model, option, value]
        for name, model in {"build": (), "preflight": (), "job": ("--model", "vits")}.items()
        for option, value in (("--precision", "int4"), ("--size", "57x70"))
    ),
    ["precision", "--size", "57x70"],
]
WITHOUT_TORCH = f"""
import sys
sys.modules["torch"] = None
from compile.cli import main
for words in {WRONG_WORDS}:
    sys.argv = ["compile", *words]
    try:
        main()
    except SystemExit as ended:
        print(ended.code)
"""


def test_a_wrong_word_fails_before_torch_is_imported() -> None:
    ended = run_python("-c", WITHOUT_TORCH)
    assert ended.stdout.split() == ["2"] * len(WRONG_WORDS)
    for words, line in zip(WRONG_WORDS, ended.stderr.splitlines()):
        assert words[-1][:2] in line
    assert len(ended.stderr.splitlines()) == len(WRONG_WORDS)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--checkpoint", "nothing.pth"), "nothing.pth: no such file"),
        (("--out", "pyproject.toml"), "pyproject.toml: no folder for artifacts: File exists"),
    ],
)
def test_a_missing_file_or_folder_is_a_failure_in_one_line(
    arguments: tuple[str, ...], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    ended = command(*BUILD, "--size", "28x42", *arguments)
    assert ended.code == 1
    assert text in ended.line()


@pytest.mark.parametrize(
    "arguments", [("--batch", "two"), ("--sizes", "56x70"), ("--size",), ("--target", "vax")]
)
def test_typers_own_complaints_are_usage_errors_too(arguments: tuple[str, ...]) -> None:
    ended = command(*BUILD, *arguments)
    assert ended.code == 2
    assert ended.out == ""
    assert "Traceback" not in ended.err


def test_inspect_says_what_it_is(built: Artifact) -> None:
    ended = command("inspect", built.folder)
    assert (ended.code, ended.err) == (0, "")
    for words in (
        built.identity,
        "demo (depth_anything_v2)",
        "relative_inverse",
        "untrained, licence none",
        "openvino, fp32, INFERENCE_PRECISION_HINT=f32",
        "lower bound 126 px, multiples of 14 px",
        "resize, normalise, run fused, resize_back",
        "passed (limits: depth max_rel 0.0005, depth mean_rel 5e-05)",
    ):
        assert words in ended.out
    assert re.search(r"  56x70-b1: \d+\.\d MB, depth: .*max_rel \d\.\d\de-0\d", ended.out)


def test_inspect_says_that_parity_failed(copied: Artifact) -> None:
    gate = Gate({"depth": {"max_rel": 1e-9, "mean_rel": 1e-9}}, passed=False)
    failed = rewrite(copied, gate=gate)
    assert "FAILED (limits: depth max_rel 1e-09, " in command("inspect", failed.folder).out


def test_verify_reads_every_byte(copied: Artifact) -> None:
    ended = command("verify", copied.folder)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (
        f"{copied.folder}: 1 programs, every hash is right\n"
        f"identity {copied.identity}\n"
        f"compared with: the folder's name {copied.folder.name}\n"
    )
    (path,) = copied.folder.glob("programs/*.bin")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    ended = command("verify", copied.folder)
    assert ended.code == 1
    assert f"the manifest says {copied.manifest.programs[0].files[1].sha256[:12]}" in ended.line()
    assert sha256_bytes(bytes(data))[:12] in ended.err


def test_verify_says_what_the_identity_was_compared_with(copied: Artifact) -> None:
    folder = copied.folder.rename(copied.folder.with_name("mine"))
    told = command("verify", folder).out.splitlines()
    assert told[2] == "compared with: nothing; give --identity"
    told = command("verify", folder, "--identity", copied.identity).out.splitlines()
    assert told[2] == "compared with: the given identity"


@pytest.mark.parametrize("name", ["inspect", "verify", "parity"])
def test_commands_refuse_another_identity_than_the_given_one(copied: Artifact, name: str) -> None:
    ended = command(name, copied.folder, "--identity", "0" * 64)
    assert (ended.code, ended.out) == (1, "")
    assert f"the identity {copied.identity[:12]}..., the given identity says 0000" in ended.line()
    ended = command(name, copied.folder, "--identity", copied.identity[:11])
    assert ended.code == 2
    assert "expected its first 12 digits or more" in ended.line()


@pytest.mark.parametrize("name", ["inspect", "verify", "parity"])
def test_commands_refuse_a_folder_without_an_artifact(tmp_path: Path, name: str) -> None:
    ended = command(name, tmp_path)
    assert ended.code == 1
    assert "no readable manifest.json; make an artifact with `python -m compile build`" in (
        ended.line()
    )


@pytest.mark.parametrize("name", ["inspect", "verify", "parity", "serve"])
def test_commands_name_the_pull_of_an_artifact_in_a_bucket(name: str) -> None:
    location = "s3://bucket/depth/vits-openvino-fp32-0123456789ab"
    refused = (
        ended(serve, "python -m serve", "folder", location)
        if name == "serve"
        else command(name, location)
    )
    assert refused.code == 1
    assert refused.line() == (
        f"{location}: not a folder; pull the artifact first: `python -m compile pull "
        "vits-openvino-fp32-0123456789ab --store s3://bucket/depth`\n"
    )


def test_parity_passes_again(built: Artifact) -> None:
    ended = command("parity", built.folder, "--images", "no-such-folder")
    assert ended.code == 0
    *rows, verdict = ended.out.splitlines()
    assert verdict == f"passed: every program is within the limit {LIMIT}"
    assert [row.split("  ")[1] for row in rows] == ["constant", "noise", "thin lines", "scene"]
    assert all(row.startswith("56x70-b1  ") and "max_rel" in row for row in rows)
    assert ended.err == "56x70-b1: parity\n"


def test_parity_refuses_altered_bytes(copied: Artifact) -> None:
    alter_weights(copied)
    ended = command("parity", copied.folder, "--images", "no-such-folder")
    assert ended.code == 1
    assert "damaged or altered" in ended.line()


def test_parity_fails_though_the_manifest_was_rewritten_to_match(copied: Artifact) -> None:
    alter_weights(copied)
    other = rewrite(copied)
    assert command("verify", other.folder).code == 0
    ended = command("parity", other.folder, "--images", "no-such-folder")
    assert ended.code == 1
    assert "thin lines" in ended.out  # the table is printed all the same
    assert ended.out.endswith(f"failed: 1 of 1 programs over the limit {LIMIT}\n")
    assert "56x70-b1: the program is too far from the eager network: depth max_rel" in ended.err
    assert "(limit 0.0005)" in ended.err
    assert "Traceback" not in ended.err


def test_parity_refuses_other_weights(copied: Artifact, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from compile.untrained import untrained_checkpoint
    from tests.support.networks import DEMO

    other = tmp_path / "other.safetensors"
    save_file(untrained_checkpoint(DEMO, seed=1).state, other)
    ended = command("parity", copied.folder, "--checkpoint", other)
    assert ended.code == 1
    assert "name the right file with --checkpoint" in ended.line()
