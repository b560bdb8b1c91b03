"""The table of published checkpoints, and what its command lines say about it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from depth.errors import InputError
from depth.weights.registry import PUBLISHED, PublishedFile, by_sha256, published
from depth_anything_v2.config import MODELS

ROOT = Path(__file__).parent.parent
ROWS = list(PUBLISHED.values())
HELPS = [["--help"], ["list", "--help"], ["fetch", "--help"]]


def command(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "main.py", "checkpoints", *args],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "80", "_TYPER_FORCE_DISABLE_TERMINAL": "1"},
        check=False,
    )


def test_every_model_is_published_or_known_not_to_be() -> None:
    assert set(MODELS) - set(PUBLISHED) == {"demo", "vitg"}
    assert set(PUBLISHED) <= set(MODELS)


@pytest.mark.parametrize("file", ROWS, ids=lambda file: file.model)
def test_a_row_is_well_formed_and_its_names_agree(file: PublishedFile) -> None:
    size, _, place = file.model.partition("-metric-")
    dataset = {"": "", "indoor": "hypersim", "outdoor": "vkitti"}[place]
    infix = f"metric_{dataset}_" if dataset else ""
    assert file.filename == f"depth_anything_v2_{infix}{size}.pth"
    assert dataset in file.repository.lower()
    assert file.repository.endswith({"vits": "-Small", "vitb": "-Base", "vitl": "-Large"}[size])
    assert re.fullmatch("[0-9a-f]{40}", file.revision)
    assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
    assert file.page_url == f"https://huggingface.co/{file.repository}"


@pytest.mark.parametrize("column", ["repository", "filename", "revision", "sha256", "size_bytes"])
def test_no_two_rows_share_what_tells_them_apart(column: str) -> None:
    values = [getattr(file, column) for file in ROWS]
    assert len(set(values)) == len(ROWS)


@pytest.mark.parametrize("place", ["", "-metric-indoor", "-metric-outdoor"])
def test_only_weights_that_come_from_small_ones_need_no_acceptance(place: str) -> None:
    gated = [published(f"{size}{place}").needs_acceptance for size in ("vits", "vitb", "vitl")]
    assert gated == [False, True, True]


def test_a_file_is_found_by_its_bytes() -> None:
    vits = published("vits")
    assert vits.sha256 == "715fade13be8f229f8a70cc02066f656f2423a59effd0579197bbf57860e1378"
    assert vits.size_bytes == 99_218_434
    assert by_sha256(vits.sha256) is vits
    assert by_sha256(vits.sha256.upper()) is vits
    assert by_sha256("0" * 64) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [("vitg", "have not published it"), ("demo", "bundled"), ("vitx", "no such model")],
)
def test_what_is_not_published_is_said_with_what_is(name: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        published(name)
    assert all(model in str(caught.value) for model in PUBLISHED)


def test_list_shows_every_file_with_its_licence_and_whether_it_is_there(tmp_path: Path) -> None:
    (tmp_path / published("vits").filename).write_bytes(b"cut off")
    with (tmp_path / published("vitb").filename).open("wb") as file:
        file.truncate(published("vitb").size_bytes)  # sparse: list looks at the size only
    result = command("list", "--folder", str(tmp_path))
    assert (result.returncode, result.stderr) == (0, "")
    lines = {line.split()[0]: line for line in result.stdout.splitlines()[1:]}
    assert set(lines) == set(PUBLISHED)
    assert all(row.filename in lines[row.model] for row in ROWS)
    assert all(lines[row.model].endswith(row.licence) for row in ROWS)
    assert re.search(r"99\.2 MB +verified +wrong size +no ", lines["vits"])
    assert re.search(r"390\.0 MB +verified +yes +yes ", lines["vitb"])
    assert re.search(r"1,341\.4 MB +verified +no +yes ", lines["vitl"])


@pytest.mark.parametrize(
    "args", [["fetch", "vitg"], ["fetch", "vitb"], ["fetch"], ["nonsense"]], ids=" ".join
)
def test_wrong_use_ends_with_2_and_prints_no_result(args: Sequence[str]) -> None:
    result = command(*args)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr != ""
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("args", HELPS, ids=" ".join)
def test_help_teaches_and_loads_nothing_heavy(args: Sequence[str]) -> None:
    code = (
        "import sys\n"
        "from compile.weights_cli import app\n"
        f"app({args!r}, standalone_mode=False)\n"
        "sys.exit(bool({'torch', 'huggingface_hub', 'numpy', 'cv2'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "checkpoint" in result.stdout


def test_the_help_of_fetch_names_its_options_and_exit_codes() -> None:
    text = command("fetch", "--help").stdout
    for word in (
        "MODEL",
        "--folder",
        "--accept-licence",
        "HF_ENDPOINT",
        "Exit codes",
        "Apache-2.0",
    ):
        assert word in text
