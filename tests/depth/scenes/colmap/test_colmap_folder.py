"""COLMAP models are read in both forms; what is damaged or hostile is refused by record."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from depth.errors import InputError
from depth.scenes.colmap.folder import has_model, read_model, read_points
from depth.scenes.colmap.lenses import KINDS
from tests.support.colmap_models import LENSES, POSE, lens, write_binary, write_text

NAMES = [f"{kind.name.lower()}.jpg" for kind in KINDS]
ONE = [lens("PINHOLE")]


@pytest.mark.parametrize("write", [write_binary, write_text])
def test_a_model_has_lenses_and_poses(write, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    found = read_model(write(tmp_path, LENSES, NAMES))
    assert [each.name for each in found] == NAMES
    assert [each.lens for each in found] == LENSES
    for each in found:
        assert np.allclose(each.extrinsics[:, :3] @ each.extrinsics[:, :3].T, np.eye(3))
        assert np.linalg.det(each.extrinsics[:, :3]) > 0
        assert np.array_equal(each.extrinsics[:, 3], POSE[4:])
    # w x y z = 0.9 0.1 -0.3 0.3 by pencil: 1 - 2 (y² + z²), and 2 (x z + y w).
    assert np.allclose(found[0].extrinsics[0, [0, 2]], [0.64, 2 * (0.03 - 0.27)])


def test_binary_comes_first_and_both_parts_are_needed(tmp_path: Path) -> None:
    write_text(tmp_path, ONE, ["text.jpg"])
    write_binary(tmp_path, ONE, ["binary.jpg"])
    assert [each.name for each in read_model(tmp_path)] == ["binary.jpg"]
    (tmp_path / "images.bin").unlink()
    assert [each.name for each in read_model(tmp_path)] == ["text.jpg"]
    (tmp_path / "cameras.txt").unlink()
    assert not has_model(tmp_path)
    with pytest.raises(InputError, match=r"no COLMAP model: expected cameras and images, as \.bin"):
        read_model(tmp_path)


def test_names_with_spaces_and_folders(tmp_path: Path) -> None:
    names = ["left cam/a b.jpg", "größe/ü.png"]
    assert [each.name for each in read_model(write_text(tmp_path / "t", ONE, names))] == names
    assert [each.name for each in read_model(write_binary(tmp_path / "b", ONE, names))] == names


@pytest.mark.parametrize(
    "name",
    [
        "../a.jpg",
        "/etc/passwd",
        "a/../../b",
        "a//b",
        "./a",
        "",
        "a\\b",
        "C:/a",
        "a\x1b[2Jb",
        "x" * 2000,
    ],
)
def test_names_that_leave_the_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"images\.bin: image '.*expected a path below"):
        read_model(write_binary(tmp_path, ONE, [name]))


def test_a_name_twice_and_a_camera_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two images have this name"):
        read_model(write_binary(tmp_path, ONE, ["a.jpg", "a.jpg"]))
    write_binary(tmp_path, ONE, ["a.jpg"])
    data = (tmp_path / "images.bin").read_bytes()
    at = 8 + 4 + 56
    (tmp_path / "images.bin").write_bytes(data[:at] + struct.pack("<I", 9) + data[at + 4 :])
    with pytest.raises(InputError, match=r"'a\.jpg': its camera 9 is not in the model"):
        read_model(tmp_path)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    write_binary(tmp_path, [lens("OPENCV"), lens("FOV")], ["a.jpg", "b.jpg"])
    for part in ("cameras.bin", "images.bin"):
        data = (tmp_path / part).read_bytes()
        for end in range(len(data)):
            (tmp_path / part).write_bytes(data[:end])
            with pytest.raises(InputError, match=part.replace(".", r"\.")):
                read_model(tmp_path)
        (tmp_path / part).write_bytes(data)
    assert len(read_model(tmp_path)) == 2


@pytest.mark.parametrize("part", ["cameras.bin", "images.bin"])
def test_every_byte_may_be_wrong(part: str, tmp_path: Path) -> None:
    """A wrong byte gives another model or an InputError, and takes neither time nor memory."""
    write_binary(tmp_path, [lens("OPENCV")], ["a.jpg"])
    data = (tmp_path / part).read_bytes()
    for at in range(len(data)):
        for value in (0x00, 0x7F, 0xFF):
            (tmp_path / part).write_bytes(data[:at] + bytes([value]) + data[at + 1 :])
            try:
                (found,) = read_model(tmp_path)
            except InputError:
                continue
            assert np.isfinite(found.extrinsics).all()


def point(number: int, place: tuple[float, float, float], images: Sequence[int]) -> bytes:
    """A record of points3D.bin."""
    track = b"".join(struct.pack("<II", image, 7) for image in images)
    return struct.pack("<Q3d3BdQ", number, *place, 1, 2, 3, 0.5, len(images)) + track


POINTS = struct.pack("<Q", 2) + point(9, (1, 2, 3), [2, 1]) + point(4, (4, 5, 6), [2, 2])


def test_points_are_read_in_both_forms(tmp_path: Path) -> None:
    write_binary(tmp_path / "b", ONE, ["a.jpg", "b.jpg"])
    (tmp_path / "b" / "points3D.bin").write_bytes(POINTS)
    write_text(tmp_path / "t", ONE, ["a.jpg", "b.jpg"])
    text = "# Points\n\n9 1 2 3 1 2 3 0.5 2 7 1 7\n4 4 5 6 1 2 3 0.5 2 7 2 8\n"
    (tmp_path / "t" / "points3D.txt").write_text(text)
    for folder in (tmp_path / "b", tmp_path / "t"):
        found = read_points(folder)
        assert [each.number for each in read_model(folder)] == [1, 2]
        assert found.seen_by(1).tolist() == [[1, 2, 3]]
        assert found.seen_by(2).tolist() == [[1, 2, 3], [4, 5, 6]]
        assert found.seen_by(3).shape == (0, 3)


def test_points_that_are_damaged_are_refused(tmp_path: Path) -> None:
    write_binary(tmp_path, ONE, ["a.jpg"])
    with pytest.raises(InputError, match=r"points3D\.bin: cannot be read"):
        read_points(tmp_path)
    path = tmp_path / "points3D.bin"
    for end in range(len(POINTS)):
        path.write_bytes(POINTS[:end])
        with pytest.raises(InputError, match=r"points3D\.bin: "):
            read_points(tmp_path)
    for at in range(len(POINTS)):
        path.write_bytes(POINTS[:at] + b"\xff" + POINTS[at + 1 :])
        try:
            found = read_points(tmp_path)
        except InputError:
            continue
        assert np.isfinite(found.places).all()
    path.write_bytes(struct.pack("<Q", 1 << 60))
    with pytest.raises(InputError, match="points, and the 0 bytes that follow cannot hold them"):
        read_points(tmp_path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1 2 3", "expected ID X Y Z R G B ERROR"),
        ("1 a 2 3 0 0 0 0.5", "'a': expected a number"),
        ("1 nan 2 3 0 0 0 0.5", "expected finite numbers"),
        ("1 1e300 2 3 0 0 0 0.5", "expected finite numbers"),
        ("1 1 2 3 0 0 0 0.5 -1 0", "expected a whole number"),
        ("1 1 2 3 0 0 0 0.5 9999999999999999999 0", "line 2"),
    ],
)
def test_lines_of_points_that_are_damaged(line: str, said: str, tmp_path: Path) -> None:
    write_text(tmp_path, ONE, ["a.jpg"])
    (tmp_path / "points3D.txt").write_text(f"# Points\n{line}\n")
    with pytest.raises(InputError, match=r"points3D\.txt: line 2: ") as raised:
        read_points(tmp_path)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("part", "count"), [("cameras.bin", 1 << 60), ("images.bin", (1 << 64) - 1)]
)
def test_huge_counts(part: str, count: int, tmp_path: Path) -> None:
    write_binary(tmp_path, ONE, ["a.jpg"])
    data = (tmp_path / part).read_bytes()
    (tmp_path / part).write_bytes(struct.pack("<Q", count) + data[8:])
    with pytest.raises(InputError, match=f"{count} .*cannot hold them"):
        read_model(tmp_path)


def test_a_huge_count_of_points(tmp_path: Path) -> None:
    data = (write_binary(tmp_path, ONE, ["a.jpg"], points=0) / "images.bin").read_bytes()
    (tmp_path / "images.bin").write_bytes(data[:-8] + struct.pack("<Q", 1 << 62))
    with pytest.raises(InputError, match="points, and the 0 bytes"):
        read_model(tmp_path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1 OPENCV 64 48 50 50 32 24", "4 parameters, OPENCV has 8"),
        ("1 EQUIRECTANGULAR 64 48 64 48", "'EQUIRECTANGULAR': not done"),
        ("1 PINHOLE 64 48 50 50 nan 24", "finite numbers"),
        ("1 PINHOLE 64 48 -5 50 32 24", "focal lengths over 0"),
        ("1 PINHOLE 64 48 1e300 50 32 24", "finite numbers up to"),
        ("1 PINHOLE 0 48 50 50 32 24", "0x48 px: expected sides over 0"),
        ("1 PINHOLE 999999999 999999999 50 50 32 24", "up to .* pixels"),
        ("1 PINHOLE -64 48 50 50 32 24", "expected a whole number"),
        ("1 PINHOLE 64 48 fifty 50 32 24", "'fifty': expected a number"),
        ("1 PINHOLE", "expected ID MODEL WIDTH HEIGHT"),
    ],
)
def test_cameras_that_are_refused(line: str, said: str, tmp_path: Path) -> None:
    write_text(tmp_path, ONE, ["a.jpg"])
    (tmp_path / "cameras.txt").write_text(f"# comment\n{line}\n")
    with pytest.raises(InputError, match=said) as refused:
        read_model(tmp_path)
    assert "cameras.txt: " in str(refused.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1 0 0 0 0 1 2 3 1 a.jpg", "is no pose"),
        ("1 1 0 0 0 inf 2 3 1 a.jpg", "is no pose"),
        ("1 1 0 0 0 1 2 3 1", "expected ID QW QX"),
        ("1 1 0 0 0 1 2 3 7 a.jpg", "its camera 7 is not"),
        ("1 1 0 0 0 1 2 3 1 ../a.jpg", "leaves the folder"),
    ],
)
def test_images_that_are_refused(line: str, said: str, tmp_path: Path) -> None:
    write_text(tmp_path, ONE, ["a.jpg"])
    (tmp_path / "images.txt").write_text(f"{line}\n\n")
    with pytest.raises(InputError, match=said):
        read_model(tmp_path)


def test_a_number_that_is_no_model_and_a_panorama(tmp_path: Path) -> None:
    write_binary(tmp_path, ONE, ["a.jpg"])
    data = (tmp_path / "cameras.bin").read_bytes()
    for number, name in ((17, "'EQUIRECTANGULAR'"), (99, "'99'"), (-1, "'-1'")):
        (tmp_path / "cameras.bin").write_bytes(data[:12] + struct.pack("<i", number) + data[16:])
        with pytest.raises(InputError, match=f"camera model {name}: not done"):
            read_model(tmp_path)


def test_a_pipe_and_bytes_that_are_no_text(tmp_path: Path) -> None:
    write_text(tmp_path, ONE, ["a.jpg"])
    (tmp_path / "images.txt").write_bytes(b"1 1 0 0 0 1 2 3 1 \xff.jpg\n\n")
    with pytest.raises(InputError, match="line 1: not UTF-8"):
        read_model(tmp_path)
    (tmp_path / "images.txt").unlink()
    os.mkfifo(tmp_path / "images.txt")
    with pytest.raises(InputError, match="no COLMAP model"):
        read_model(tmp_path)


def test_a_model_without_images(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it has no image"):
        read_model(write_binary(tmp_path, ONE, []))
