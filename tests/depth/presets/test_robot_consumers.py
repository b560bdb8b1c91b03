"""ros, tum and kitti, read by the code of ROS, of the TUM benchmark and of KITTI's devkit.

    CONSUMERS_UPSTREAM=FOLDER make test ARGS="-rP tests/depth/presets/test_robot_consumers.py"

FOLDER has checkouts by their names: camera_info_manager_py, vision_opencv,
TUM_rgbd_benchmark_tools; and in kitti/ the devkit's read_depth.py.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from depth.maps.files import read_sidecar
from depth.presets.summary import Done, summary_of
from tests.support.consumers import (
    FOCAL,
    HEIGHT,
    PIXELS,
    WIDTH,
    error_of,
    metres,
    needs_checkout,
    read_by,
    seen,
    written,
)

MIDDLE = ((WIDTH - 1) / 2, (HEIGHT - 1) / 2)


@needs_checkout("camera_info_manager_py")
@needs_checkout("vision_opencv")
def test_ros_reads_the_camera_and_carries_the_image(tmp_path: Path) -> None:
    files = written(tmp_path, "ros", metres())
    read = read_by("robots.ros", files[1])
    assert files[1].suffix == ".yaml"
    assert (read["width"], read["height"]) == (WIDTH, HEIGHT)
    assert (read["model"], read["encoding"]) == ("plumb_bob", "32FC1")
    k = [FOCAL, 0, MIDDLE[0], 0, FOCAL, MIDDLE[1], 0, 0, 1]
    assert error_of("ros K", read["K"], np.array(k)) < 1e-9
    assert read["P"].reshape(3, 4)[:, :3].ravel().tolist() == read["K"].tolist()
    assert read["R"].tolist() == np.eye(3).ravel().tolist()
    assert read["D"].tolist() == [0] * 5
    assert read["size"].tolist() == [HEIGHT, WIDTH]
    assert np.isnan(read["depth"][0]).all()
    expected = seen(metres().depth.values)
    assert error_of("ros 32FC1", np.nan_to_num(read["depth"]), expected) == 0


@needs_checkout("TUM_rgbd_benchmark_tools")
def test_the_tools_of_tum_pair_files_and_make_points(tmp_path: Path) -> None:
    name = "1305031102.160407"
    depth = written(tmp_path, "tum", metres(), name)[0]
    listed = read_sidecar(depth.with_name(f"{name}.json")).preset
    assert listed is not None
    done = Done(f"{name}.png", PurePosixPath("."), listed)
    text = summary_of("tum", [done])
    assert text is not None
    (tmp_path / "depth.txt").write_bytes(text)
    (tmp_path / "rgb.txt").write_text("1305031102.175304 rgb.png\n")
    cv2.imwrite(str(tmp_path / "rgb.png"), PIXELS)
    read = read_by("robots.tum", tmp_path / "depth.txt")
    assert read["pairs"].tolist() == [[1305031102.175304, 1305031102.160407]]
    assert read["files"].tolist() == [str(depth)]
    expected = seen(metres().depth.values)
    rows, columns = np.nonzero(expected)
    z = expected[rows, columns]
    x, y = (columns - 319.5) / 525 * z, (rows - 239.5) / 525 * z  # the tool's own camera
    assert error_of("tum", read["points"], np.stack([x, y, z], 1)) <= 0.501 / 5000


@needs_checkout("kitti")
def test_the_devkit_of_kitti_reads_metres(tmp_path: Path) -> None:
    read = read_by("robots.kitti", written(tmp_path, "kitti", metres())[0])["depth"]
    expected = seen(metres().depth.values)
    assert (read[expected == 0] == -1).all(), "no depth"
    assert error_of("kitti", np.maximum(read, 0), expected) <= 0.501 / 256
