"""A job of masks again, after changes and kills, and beside files of others."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from depth.family import METRES
from depth.files import sha256_file
from serve.masks.report import REPORT, report_in
from tests.support.hostile import encoded, picture
from tests.support.mask_artifacts import mask_artifact
from tests.support.mask_jobs import H, W, depth_for, lines, masks_, photos


def test_a_rerun_keeps_what_is_whole_and_makes_what_changed(tmp_path: Path) -> None:
    images, out = photos(tmp_path / "in"), tmp_path / "out"
    depth = depth_for(tmp_path / "depth", images)
    arguments = ("-i", images, "-o", out, "--depth", depth)
    fifth = (*arguments, "--farthest", "20")
    assert "2 done" in masks_(*fifth).err
    assert "2 already there" in masks_(*fifth).err
    assert "2 done" in masks_(*arguments, "--farthest", "30").err
    assert "2 done" in masks_(*fifth).err
    (out / "c.png.png").unlink()
    assert "1 done, 1 already there" in masks_(*fifth).err
    (out / ".previews/c.png.jpg").write_bytes(b"torn")
    assert "1 done, 1 already there" in masks_(*fifth).err
    (images / "c.png").write_bytes(encoded(picture(H, W, 9), "PNG"))
    changed = masks_(*fifth)
    assert changed.code == 3
    assert "c.png is of another image" in changed.err or "of this one before it" in changed.err
    depth_for(depth, images)
    assert "1 done, 1 already there" in masks_(*fifth).err
    depth_for(depth, images, METRES)
    assert "2 done" in masks_(*fifth).err


def test_settings_of_the_network_count(tmp_path: Path) -> None:
    images, out = photos(tmp_path / "in"), tmp_path / "out"
    artifact = mask_artifact(tmp_path).folder
    arguments = ("-i", images, "-o", out, "--artifact", artifact)
    assert "2 done" in masks_(*arguments).err
    assert "2 already there" in masks_(*arguments).err
    assert "2 done" in masks_(*arguments, "--class", "red").err
    assert "2 done" in masks_(*arguments, "--class", "red", "--confidence", "0.5").err
    other = mask_artifact(tmp_path, "openvino").folder
    assert "2 done" in masks_("-i", images, "-o", out, "--artifact", other).err


def test_a_mask_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    images, out = photos(tmp_path / "in"), tmp_path / "out"
    depth = depth_for(tmp_path / "depth", images)
    arguments = ("-i", images, "-o", out, "--depth", depth, "--farthest", "20")
    out.mkdir()
    drawn = out / "c.png.png"
    drawn.write_bytes(b"drawn by hand")
    found = masks_(*arguments)
    assert found.code == 3
    assert "is not as a job of masks wrote it; move it away, or give --replace" in found.err
    assert drawn.read_bytes() == b"drawn by hand"
    assert "1 done, 1 already there" in masks_(*arguments, "--replace").err
    drawn.write_bytes(b"changed since")
    assert masks_(*arguments).code == 3
    # A failure in between does not make a mask of ours foreign.
    drawn.unlink()
    assert masks_(*arguments).code == 0
    whole = (images / "c.png").read_bytes()
    (images / "c.png").write_bytes(whole[:50])
    assert masks_(*arguments).code == 3
    (images / "c.png").write_bytes(whole)
    assert masks_(*arguments, "--fill-holes").code == 0


def test_a_killed_job_is_finished_by_the_next(tmp_path: Path) -> None:
    images, out = photos(tmp_path / "in"), tmp_path / "out"
    depth = depth_for(tmp_path / "depth", images)
    arguments = ("-i", images, "-o", out, "--depth", depth, "--farthest", "20")
    assert masks_(*arguments).code == 0
    # Killed after the mask was written and before its line was: the line is torn.
    whole = (out / REPORT).read_bytes().splitlines(keepends=True)
    (out / REPORT).write_bytes(whole[0] + whole[1][:40])
    assert "1 done, 1 already there" in masks_(*arguments).err
    assert (out / REPORT).read_bytes().count(b"\n") == 2
    assert set(lines(out)) == {"a/b.jpg", "c.png"}


def test_masks_beside_their_images_are_not_masked_themselves(tmp_path: Path) -> None:
    images = photos(tmp_path / "in")
    depth = depth_for(tmp_path / "depth", images)
    arguments = ("-i", images, "-o", images, "--depth", depth, "--farthest", "20", "--layout")
    for _ in range(2):
        done = masks_(*arguments, "odm")
        assert done.code == 0, done.err
        assert set(lines(images)) == {"a/b.jpg", "c.png"}
    assert (images / "a/b_mask.png").exists()
    for layout in ("colmap", "realitycapture"):
        assert masks_(*arguments, layout).code == 0
        assert set(lines(images)) == {"a/b.jpg", "c.png"}
    refused = masks_(*arguments, "nerfstudio")
    assert refused.code == 2
    assert "the mask of c.png would replace an image" in refused.line()


def test_two_jobs_do_not_write_into_one_folder(tmp_path: Path) -> None:
    images, out = photos(tmp_path / "in"), tmp_path / "out"
    depth = depth_for(tmp_path / "depth", images)
    with report_in(out, writable=True):
        found = masks_("-i", images, "-o", out, "--depth", depth, "--farthest", "20")
    assert found.code == 1
    assert "another job is writing into this folder; wait for it" in found.line()


@pytest.mark.parametrize("content", [b"\xff\xfe not JSON\n", b"[1]\n" * 3, b'{"format": 1}\n'])
def test_lines_of_something_else_are_let_be(content: bytes, tmp_path: Path) -> None:
    images, out = photos(tmp_path / "in"), tmp_path / "out"
    depth = depth_for(tmp_path / "depth", images)
    out.mkdir()
    (out / REPORT).write_bytes(content)
    for fate in ("2 done", "2 already there"):
        done = masks_("-i", images, "-o", out, "--depth", depth, "--farthest", "20")
        assert fate in done.err
    assert (out / REPORT).read_bytes().startswith(content)


def test_a_log_that_names_files_outside_reads_none_of_them(tmp_path: Path) -> None:
    images, out = photos(tmp_path / "in", ("a.png",)), tmp_path / "out"
    depth = depth_for(tmp_path / "depth", images)
    arguments = ("-i", images, "-o", out, "--depth", depth, "--farthest", "20")
    assert masks_(*arguments).code == 0
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    line = lines(out)["a.png"]
    for name in ("../secret", str(secret), "a\0b"):
        line["mask"] = {"name": name, "sha256": sha256_file(secret)}
        (out / REPORT).write_text(json.dumps(line) + "\n", "utf-8")
        assert "1 done" in masks_(*arguments).err


def test_a_link_is_no_log(tmp_path: Path) -> None:
    images, out = photos(tmp_path / "in"), tmp_path / "out"
    depth = depth_for(tmp_path / "depth", images)
    out.mkdir()
    (out / REPORT).symlink_to(tmp_path / "elsewhere")
    found = masks_("-i", images, "-o", out, "--depth", depth, "--farthest", "20")
    assert found.code == 1
    assert "cannot be used: a link, which is not followed here; move it away" in found.line()
    assert not (tmp_path / "elsewhere").exists()


def test_a_full_disk_ends_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, out = photos(tmp_path / "in", tuple(f"{i}.png" for i in range(12))), tmp_path / "out"
    depth = depth_for(tmp_path / "depth", images)

    def full(path: Path, _data: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("serve.masks.job.write_whole", full)
    arguments = ("-i", images, "-o", out, "--depth", depth, "--farthest", "20", "--no-preview")
    done = masks_(*arguments)
    assert done.code == 3
    assert "left after a full disk" in done.err
    monkeypatch.undo()
    assert "12 done" in masks_(*arguments).err
