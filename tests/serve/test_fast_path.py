"""Mode `fast` and output at the network's size: less work, and results that say so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Callable

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from typer.testing import CliRunner

from depth.artifact.manifest import Artifact
from depth.errors import ImageError, InputError
from depth.images.header import ImageHeader
from depth.images.read import decode_image, read_image, reduction
from depth.maps.files import read_depth
from depth.postprocess import resize_depth
from serve.cli import app
from serve.engine import Engine
from serve.folder.job import run_folder
from serve.folder.request import FolderJob
from serve.jobs.entry import DONE, KEPT
from serve.library import Library
from tests.support.hostile import encoded, picture
from tests.support.image_samples import exif
from tests.support.programs import DEMO, make_artifact

Pixels = npt.NDArray[np.uint8]

SIZE = (56, 70)  # (height, width) px of the program
RULE = replace(DEMO.size, side_px=SIZE[0])
Make = Callable[..., Engine]
LARGE = encoded(picture(224, 280), "JPEG", quality=95)  # four times as large


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return make_artifact(tmp_path_factory.mktemp("artifact"), sizes=[SIZE])


@pytest.fixture(scope="module")
def library(artifact: Artifact) -> Library:
    return Library([artifact])


@pytest.fixture
def image(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(LARGE)
    return folder / "a.jpg"


@pytest.fixture
def make(library: Library) -> Iterator[Make]:
    """Makes engines, and closes them."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(Engine(library, size_rule=RULE, **options))


def header(height_px: int, width_px: int, orientation: int = 1) -> ImageHeader:
    return ImageHeader(width_px, height_px, "JPEG", "RGB", orientation)


@pytest.mark.parametrize(
    ("image_size", "needed", "expected"),
    [
        ((1362, 2048), (518, 784), 1),  # a half would leave less than twice the size
        ((1362, 2048), (252, 378), 2),
        ((3000, 4000), (518, 686), 2),
        ((4160, 6272), (518, 784), 4),
        ((4160, 6240), (126, 196), 8),
        ((2071, 4000), (518, 686), 1),  # odd
        ((2072, 2744), (518, 686), 2),
        ((2070, 2744), (518, 686), 1),
        ((2072, 2742), (518, 686), 1),
        ((1, 1), (14, 14), 1),
    ],
)
def test_a_reduced_size_keeps_twice_of_what_is_needed(
    image_size: tuple[int, int], needed: tuple[int, int], expected: int
) -> None:
    assert reduction(header(*image_size), needed) == expected


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_reduced_pixels_are_the_picture_upright(orientation: int, factor: int) -> None:
    data = encoded(picture(176, 240), "JPEG", quality=95, exif=exif(orientation))
    whole = decode_image(data, "x")
    height, width = whole.pixels.shape[:2]
    needed = (height // factor // 2, width // factor // 2)
    found = decode_image(data, "x", lambda _: needed)
    assert found.pixels.shape == (height // factor, width // factor, 3)
    assert found.pixels.flags.c_contiguous
    averaged = cv2.resize(
        whole.pixels, (width // factor, height // factor), interpolation=cv2.INTER_AREA
    )
    assert np.abs(found.pixels.astype(int) - averaged).mean() < 3
    assert found.notes == (f"decoded at 1/{factor} of its size",)
    assert (found.header, found.sha256) == (whole.header, whole.sha256)


def test_pixels_are_all_there_when_they_are_needed_or_the_format_has_no_reduced_size() -> None:
    for needed in ((57, 70), (56, 71), (224, 280)):
        found = decode_image(LARGE, "x", lambda _, size=needed: size)  # type: ignore[misc]
        np.testing.assert_array_equal(found.pixels, decode_image(LARGE, "x").pixels)
        assert found.notes == ()
    png = encoded(picture(224, 280), "PNG")
    assert decode_image(png, "x", lambda _: SIZE).pixels.shape == (224, 280, 3)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_kinds_of_jpeg_are_reduced_too(mode: str) -> None:
    data = encoded(picture(224, 280).convert(mode), "JPEG", quality=95)
    found = decode_image(data, "x", lambda _: SIZE).pixels.astype(int)
    averaged = cv2.resize(decode_image(data, "x").pixels, (140, 112), interpolation=cv2.INTER_AREA)
    assert np.abs(found - averaged).mean() < 3


def test_damage_is_found_in_a_reduced_picture_as_in_a_whole_one() -> None:
    for share in (0.02, 0.2, 0.5, 0.9, 0.99):
        with pytest.raises(ImageError, match="Expected a complete JPEG"):
            decode_image(LARGE[: int(len(LARGE) * share)], "x", lambda _: SIZE)
    with pytest.raises(ImageError, match="premature end"):
        decode_image(LARGE[: len(LARGE) // 2] + LARGE[-2:], "x", lambda _: SIZE)
    end_of_first = 4 + int.from_bytes(LARGE[4:6], "big")
    stray = LARGE[:end_of_first] + b"\1\2\3" + LARGE[end_of_first:]
    found = decode_image(stray, "x", lambda _: SIZE)
    assert found.pixels.shape == (112, 140, 3)
    assert [note.split(" ")[0] for note in found.notes] == ["the", "decoded"]


def test_random_damage_never_escapes_as_anything_but_an_image_error() -> None:
    generator = np.random.default_rng(0)
    outcomes = []
    for _ in range(150):
        damaged = bytearray(LARGE)
        for _ in range(3):
            reach = 700 if generator.random() < 0.6 else len(LARGE)
            damaged[generator.integers(2, reach)] = generator.integers(256)
        try:
            found = decode_image(bytes(damaged), "x", lambda _: SIZE)
            outcomes.append(found.pixels.shape[0] in (112, found.header.height_px))
        except ImageError:
            outcomes.append(True)
    assert all(outcomes)


def test_a_fast_result_says_so_and_is_close(make: Make, image: Path) -> None:
    reference, fast = make(), make(preprocess="fast")
    assert reference.needed is None
    whole, reduced = read_image(image), read_image(image, fast.needed)
    assert reduced.pixels.shape == (112, 140, 3)
    results = reference.result(whole), fast.result(reduced)
    modes = [result.provenance.preprocess_mode for result in results]
    assert modes == ["reference", "fast"]
    expected, found = (result.depth for result in results)
    assert found.values.shape == expected.values.shape == (224, 280)
    assert not np.array_equal(found.values, expected.values)
    scale = np.abs(expected.values).max()
    assert np.abs(found.values - expected.values).max() < 0.1 * scale
    all_pixels = fast.result(whole).depth.values
    assert np.abs(all_pixels - expected.values).max() < 0.02 * scale


def test_output_at_the_network_s_size_is_what_the_full_size_is_made_from(
    make: Make, image: Path
) -> None:
    source = read_image(image)
    full = make().result(source)
    own = make(output_size="model").result(source)
    assert own.depth.values.shape == SIZE
    assert own.provenance.output_size == "model"
    assert full.provenance.steps == (*own.provenance.steps, "resize_back")
    assert np.array_equal(resize_depth(own.depth.values, (224, 280)), full.depth.values)


def test_unknown_choices_are_refused(make: Make) -> None:
    with pytest.raises(InputError, match="no pre-processing 'quick'; choose from reference, fast"):
        make(preprocess="quick")
    with pytest.raises(InputError, match="no output size 'half'; choose from full, model"):
        make(output_size="half")


def test_the_json_says_how_positions_correspond(make: Make, image: Path) -> None:
    metas = {}
    for output_size in ("full", "model"):
        own = make(output_size=output_size)
        out = image.parent.parent / output_size
        run_folder(own, FolderJob(image.parent, out))
        metas[output_size] = json.loads((out / "a.json").read_text())
        assert read_depth(out / "a.png").provenance.output_size == output_size
    depth = metas["model"]["maps"]["depth"]
    assert metas["full"]["maps"]["depth"]["to_image_px"] == [1, 1]
    assert (depth["height_px"], depth["width_px"]) == SIZE
    source = metas["model"]["source"]
    assert (source["height_px"], source["width_px"]) == (224, 280)
    x, y = depth["to_image_px"]
    assert (x * (SIZE[1] - 1), y * (SIZE[0] - 1)) == pytest.approx((279, 223))


def test_results_made_in_another_way_are_made_again(make: Make, image: Path) -> None:
    def status(**options: str) -> str:
        entries = []
        job = FolderJob(image.parent, image.parent.parent / "out")
        run_folder(make(**options), job, lambda entry, _: entries.append(entry))
        return entries[0].status

    assert [status(), status()] == [DONE, KEPT]
    assert [status(preprocess="fast"), status(preprocess="fast")] == [DONE, KEPT]
    assert [status(preprocess="fast", output_size="model"), status(preprocess="fast")] == [DONE] * 2


def test_the_command_line_has_both_choices(artifact: Artifact, image: Path) -> None:
    out = image.parent.parent / "out"
    arguments = ["folder", str(artifact.folder), "--input", str(image.parent), "--output", str(out)]
    arguments += ["--policy", "buckets", "--preprocess", "fast", "--output-size", "model"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    meta = json.loads((out / "a.json").read_text())
    assert meta["provenance"]["preprocess_mode"] == "fast"
    assert meta["provenance"]["output_size"] == "model"
    assert meta["source"]["notes"] == ["decoded at 1/2 of its size"]
