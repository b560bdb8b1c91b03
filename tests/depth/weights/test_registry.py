"""The table of published checkpoints, and what its command lines say about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from depth.command import guarded
from depth.errors import InputError
from depth.family import FAMILIES, models, module
from depth.weights.registry import (
    RELEASE,
    SPACE,
    PublishedFile,
    by_sha256,
    known_files,
    published,
    published_files,
)
from depth_anything.checkpoints_cli import app
from tests.support.commands import Ended, ended
from tests.support.fresh_python import run_python

ROWS = list(published_files().values())
HELPS = [["--help"], ["list", "--help"], ["fetch", "--help"]]


def command(*arguments: str) -> Ended:
    return ended(lambda: guarded(app, "checkpoints"), "checkpoints", *arguments)


def test_every_model_is_published_or_known_not_to_be() -> None:
    unpublished = [name for row in FAMILIES for name in module(row, "published").UNPUBLISHED]
    assert sorted([*published_files(), *unpublished]) == sorted(models())


@pytest.mark.parametrize("file", known_files(), ids=lambda file: file.repository + file.model)
def test_a_row_is_well_formed(file: PublishedFile) -> None:
    assert re.fullmatch("[0-9a-f]{40}", file.revision) or file.sha256 is not None
    assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
    kind = "spaces/" if file.repository_type == SPACE else ""
    page = f"https://huggingface.co/{kind}{file.repository}"
    if file.repository_type == RELEASE:
        page = f"https://github.com/{file.repository}/releases/tag/{file.revision}"
    assert file.page_url == page
    assert "/" not in file.local_name
    assert file.local_name.endswith((".pth", ".pt", ".bin", ".safetensors"))


@pytest.mark.parametrize(
    "file", [row for row in ROWS if row.model.startswith("vit")], ids=lambda file: file.model
)
def test_the_names_in_a_row_agree(file: PublishedFile) -> None:
    size, _, place = file.model.partition("-metric-")
    dataset = {"": "", "indoor": "hypersim", "outdoor": "vkitti"}[place]
    infix = f"metric_{dataset}_" if dataset else ""
    assert file.filename == f"depth_anything_v2_{infix}{size}.pth"
    assert dataset in file.repository.lower()
    assert file.repository.endswith({"vits": "-Small", "vitb": "-Base", "vitl": "-Large"}[size])


def test_sha256_address_and_local_name_are_unique() -> None:
    rows = known_files()
    assert len({file.sha256 for file in rows}) == len(rows)
    assert len({(file.repository, file.filename) for file in rows}) == len(rows)
    assert len({file.local_name for file in ROWS}) == len(ROWS), "one folder has them all"


def test_hub_files_of_one_name_are_kept_apart() -> None:
    mono, metric = published("da3mono-large"), published("da3metric-large")
    assert mono.filename == metric.filename == "model.safetensors"
    assert (mono.local_name, metric.local_name) == (
        "da3mono-large.safetensors",
        "da3metric-large.safetensors",
    )
    assert published("v1-vits").local_name == "depth_anything_vits14.pth"


def test_files_that_several_licences_are_said_of_are_known() -> None:
    found = by_sha256("8ebe871a022ed58d2fc8fdfb2ebdb31d57b60fe39611c849095851a7b7c6020c")
    assert found is not None
    assert found.model == "da3nested-giant-large"
    with pytest.raises(InputError, match="no such model"):
        published("da3-huge")
    contested = {file.model for file in known_files() if file.needs_acceptance}
    assert {"da3-large", "da3-giant", "da3nested-giant-large"} <= contested
    assert not contested & {"da3-small", "da3-base", "da3mono-large", "da3metric-large"}


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
def test_an_unpublished_model_is_refused_with_the_published_models(name: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        published(name)
    assert all(model in str(caught.value) for model in published_files())


def test_list_shows_licence_and_state_of_every_file(
    tmp_path: Path,
) -> None:
    (tmp_path / published("vits").filename).write_bytes(b"cut off")
    with (tmp_path / published("vitb").filename).open("wb") as file:
        file.truncate(published("vitb").size_bytes)  # sparse: list looks at the size only
    listed = command("list", "--folder", str(tmp_path))
    assert (listed.code, listed.err) == (0, "")
    assert max(map(len, listed.out.splitlines())) <= 102
    table, _, below = listed.out.partition("\n\n")
    heading, *rows = table.splitlines()
    assert heading.split() == ["MODEL", "SIZE", "HERE", "LICENCE", "FILE"]
    lines = {line.split()[0]: line for line in rows}
    assert set(lines) == set(published_files())
    for row in ROWS:
        assert lines[row.model].endswith(row.local_name)
        assert (" * " in lines[row.model]) == row.needs_acceptance
        assert row.licence in lines[row.model] + below
    assert re.search(r" 99 MB +wrong size +Apache-2\.0  ", lines["vits"])
    assert re.search(r" 390 MB +yes +CC-BY-NC-4\.0 \*  ", lines["vitb"])
    assert re.search(r" 1341 MB +no +CC-BY-NC-4\.0 \*  ", lines["vitl"])


@pytest.mark.parametrize(
    "args", [["fetch", "vitg"], ["fetch", "vitb"], ["fetch"], ["nonsense"]], ids=" ".join
)
def test_wrong_use_ends_with_2_and_prints_no_result(args: Sequence[str]) -> None:
    used = command(*args)
    assert (used.code, used.out) == (2, "")
    assert used.err != ""
    assert "Traceback" not in used.err


def test_help_teaches_and_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from depth_anything.checkpoints_cli import app\n"
        f"for args in {HELPS!r}:\n"
        "    app(args, standalone_mode=False)\n"
        "    print('end')\n"
        "sys.exit(bool({'torch', 'huggingface_hub', 'numpy', 'cv2'} & set(sys.modules)))"
    )
    result = run_python("-c", code)
    assert result.returncode == 0, result.stderr
    texts = result.stdout.split("end\n")[:-1]
    assert len(texts) == len(HELPS)
    assert all("checkpoint" in text for text in texts)


def test_the_help_of_fetch_names_its_options_and_exit_codes() -> None:
    text = command("fetch", "--help").out
    words = ("MODEL", "--folder", "--accept-licence", "HF_ENDPOINT", "Exit codes", "Apache-2.0")
    assert [word for word in words if word not in text] == []
