"""Which images are calibrated on: others than the gate's, at most 32, the same ones every time."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from compile.int8.images import MAX_IMAGES, Calibration, batches, choose
from compile.parity.inputs import photographs
from depth.errors import ImageError, InputError
from depth.files import sha256_bytes, sha256_file
from depth.images.read import read_image
from depth.preprocess import Preparation
from tests.support.networks import DEMO
from tests.support.quantiser_standin import pictures

SIZE = (28, 42)


def names(calibration: Calibration) -> set[str]:
    return {image.path.name for image in calibration.images}


def numbered(count: int) -> list[str]:
    return [f"{number:03}.png" for number in range(count)]


def test_the_gate_keeps_its_photographs_to_itself(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "images", [*numbered(7), "deeper/another.png"])
    gate, calibration = choose(folder, 3)
    assert [picture.name for picture in gate] == ["000.png", "001.png", "002.png"]
    assert names(calibration) == {"003.png", "004.png", "005.png", "006.png", "another.png"}
    assert calibration.unreadable == 0
    assert [p.sha256 for p in gate] == [p.sha256 for p in photographs(folder, 3)]


def test_images_that_cannot_be_read_are_skipped_and_counted(tmp_path: Path) -> None:
    folder = pictures(tmp_path, numbered(8))
    (folder / "004.png").write_bytes((folder / "004.png").read_bytes()[:100])
    (folder / "006.png").write_bytes(b"")
    _, calibration = choose(folder, 3)
    assert names(calibration) == {"003.png", "005.png", "007.png"}
    assert calibration.unreadable == 2


def test_a_copy_of_a_photograph_counts_once_and_not_if_the_gate_has_it(tmp_path: Path) -> None:
    folder = pictures(tmp_path, numbered(6))
    shutil.copy(folder / "000.png", folder / "z0.png")
    shutil.copy(folder / "005.png", folder / "z5.png")
    _, calibration = choose(folder, 3)
    assert len(calibration.images) == 3
    assert not names(calibration) & {"000.png", "z0.png"}


def test_of_many_images_32_from_all_over_the_folder(tmp_path: Path) -> None:
    folder = pictures(tmp_path, numbered(100))
    _, calibration = choose(folder, 3)
    assert len(calibration.images) == MAX_IMAGES == 32
    numbers = sorted(int(name[:3]) for name in names(calibration))
    assert numbers[0] < 10
    assert numbers[-1] > 90
    assert max(np.diff(numbers)) < 10


@pytest.mark.parametrize(("count", "for_gate"), [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (6, 3)])
def test_of_few_images_the_gate_gets_the_smaller_half(
    tmp_path: Path, count: int, for_gate: int
) -> None:
    gate, calibration = choose(pictures(tmp_path, numbered(count)), 3)
    assert (len(gate), len(calibration.images)) == (for_gate, count - for_gate)


def test_the_only_image_that_can_be_read_is_calibrated_on(tmp_path: Path) -> None:
    folder = pictures(tmp_path, ["good.png"])
    for name in ("a.png", "b.jpg", "z.tif"):
        (folder / name).write_bytes(b"no image")
    gate, calibration = choose(folder, 3)
    assert (gate, names(calibration), calibration.unreadable) == ([], {"good.png"}, 3)


@pytest.mark.parametrize("kind", ["none", "empty", "unreadable"])
def test_without_any_image_it_says_what_to_give(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / kind
    if kind != "none":
        folder.mkdir()
    if kind == "unreadable":
        (folder / "a.png").write_bytes(b"no image")
    text = f"{kind}: no image here that can be read.*a folder of photographs.*--images FOLDER"
    with pytest.raises(InputError, match=text):
        choose(folder, 3)


def test_the_digest_tells_the_images_and_not_their_names(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "one", numbered(5))
    _, calibration = choose(folder, 0)
    hashes = sorted(sha256_file(folder / name) for name in numbered(5))
    assert [image.sha256 for image in calibration.images] == hashes
    assert calibration.sha256 == sha256_bytes("".join(hashes).encode())
    renamed = tmp_path / "other"
    renamed.mkdir()
    for number, name in enumerate(reversed(numbered(5))):
        shutil.copy(folder / name, renamed / f"photo{number}.png")
    assert choose(renamed, 0)[1].sha256 == calibration.sha256
    pictures(renamed, ["photo0.png"], seed=9)
    assert choose(renamed, 0)[1].sha256 != calibration.sha256


def test_inputs_are_what_serving_would_feed_and_a_plain_picture(tmp_path: Path) -> None:
    _, calibration = choose(pictures(tmp_path, numbered(2)), 0)
    first, second, plain = calibration.inputs(DEMO, SIZE)
    prepare = Preparation(DEMO.before, DEMO.size)
    pixels = [read_image(image.path).pixels for image in calibration.images]
    assert np.array_equal(first, prepare(pixels[0], SIZE))
    assert np.array_equal(second, prepare(pixels[1], SIZE))
    assert plain.shape == (1, 3, *SIZE)
    assert np.ptp(plain, axis=(2, 3)).max() < 1e-5
    assert abs(plain.mean() - first.mean()) < 0.05


def test_an_image_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    _, calibration = choose(pictures(tmp_path, numbered(2)), 0)
    pictures(tmp_path, numbered(1), seed=3)
    with pytest.raises(InputError, match="000.png: changed while it was calibrated on; run again"):
        list(calibration.inputs(DEMO, SIZE))
    (tmp_path / "000.png").unlink()
    with pytest.raises(ImageError, match="000.png: cannot be read"):
        list(calibration.inputs(DEMO, SIZE))


def test_batches_are_filled_up_with_the_first_images() -> None:
    images = [np.full((1, 3, 2, 2), number, np.float32) for number in range(3)]
    found = [[int(one[0, 0, 0]) for one in batch] for batch in batches(images, 2)]
    assert found == [[0, 1], [2, 0]]
    assert [batch.shape for batch in batches(images[:1], 4)] == [(4, 3, 2, 2)]
