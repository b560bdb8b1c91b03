"""Frames of videos: which are taken, how they lie, and what is refused."""

from __future__ import annotations

import logging
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from depth.errors import ImageError, InputError
from depth.images import video
from depth.images.video import Video, upright
from tests.support.videos import QUARTER, SIZE, av, picture, turned, write_video

H, W = SIZE
FORMS = [
    ("a.mp4", "libx264", "yuv420p"),
    ("a.mkv", "ffv1", "yuv444p10le"),
    ("b.mkv", "ffv1", "bgr0"),
    ("a.webm", "libvpx-vp9", "yuv420p"),
    ("a.avi", "mpeg4", "yuv420p"),
    ("a.mov", "qtrle", "argb"),
    ("a.flv", "flv", "yuv420p"),
    ("a.wmv", "wmv2", "yuv420p"),
    ("a.m4v", "mpeg4", "yuv420p"),
]


def frames(path: Path, fps: float = 1000) -> list[Any]:
    with Video(path, fps) as opened:
        return list(opened.frames())


@pytest.mark.parametrize(("name", "codec", "form"), FORMS, ids=[f"{c}-{f}" for _, c, f in FORMS])
def test_containers_and_forms_of_px(name: str, codec: str, form: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / name, codec=codec, form=form)
    with Video(path, 5) as opened:
        assert (opened.rate, opened.step, opened.total) == (10, 2, 10)
        found = list(opened.frames())
    assert [frame.number for frame in found] == [0, 2, 4, 6, 8]
    for frame in found:
        expected = picture(frame.number).astype(int)
        assert frame.pixels.shape == expected.shape
        middles = np.s_[4::10, 4::10]  # away from edges, where colours are subsampled
        assert np.abs(frame.pixels[middles] - expected[middles]).mean() < 6
    assert "." + name.partition(".")[2] in video.EXTENSIONS


@pytest.mark.parametrize(("fps", "taken"), [(10, 10), (99, 10), (4, 5), (1, 1), (0.1, 1), (3.4, 5)])
def test_every_nth_frame_is_taken(fps: float, taken: int, tmp_path: Path) -> None:
    """As upstream counts: n is the rate divided by `fps`, rounded down, at least 1."""
    assert len(frames(write_video(tmp_path / "a.avi"), fps)) == taken


@pytest.mark.parametrize("standard", ["bt709", "smpte170m"])
@pytest.mark.parametrize("levels", ["tv", "pc"])
def test_colours_of_each_standard_are_the_same(standard: str, levels: str, tmp_path: Path) -> None:
    """A red of BT.709 is a red, and not the orange that BT.601 would make of its numbers."""
    library = av()
    path = tmp_path / "a.mkv"
    space, number = {"bt709": ("ITU709", 1), "smpte170m": ("ITU601", 6)}[standard]
    with library.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=5)
        (stream.height, stream.width), stream.pix_fmt = SIZE, "yuv420p"
        stream.codec_context.colorspace = number
        stream.codec_context.color_range = 2 if levels == "pc" else 1
        red = np.zeros((H, W, 3), np.uint8)
        red[...] = 200, 30, 30
        drawn = library.VideoFrame.from_ndarray(red, format="rgb24").reformat(
            format="yuv420p",
            dst_colorspace=space,
            src_color_range=2,
            dst_color_range=2 if levels == "pc" else 1,
        )
        drawn.colorspace, drawn.color_range = number, 2 if levels == "pc" else 1
        for packet in [*stream.encode(drawn), *stream.encode()]:
            container.mux(packet)
    (found,) = frames(path)
    assert np.abs(found.pixels[H // 2, W // 2] - np.array([200, 30, 30])).max() <= 4


def test_a_video_from_a_phone_stands_upright(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 2)
    lying = frames(path)[0].pixels
    standing = frames(turned(path))[0].pixels
    assert standing.shape == (W, H, 3)
    assert np.array_equal(standing, np.rot90(lying, -1))
    assert np.array_equal(frames(turned(path, (-1, 0, 0, -1)))[0].pixels, np.rot90(lying, 2))
    assert np.array_equal(frames(turned(path, (-1, 0, 0, 1)))[0].pixels, lying[:, ::-1])


@pytest.mark.parametrize(
    ("matrix", "turns", "mirrored"),
    [
        ((1, 0, 0, 1), 0, False),
        (QUARTER, -1, False),
        ((-1, 0, 0, -1), 2, False),
        ((0, -1, 1, 0), 1, False),
        ((-1, 0, 0, 1), 0, True),
        ((1, 0, 0, -1), 2, True),
        ((0, 1, 1, 0), 1, True),
        ((0, -1, -1, 0), -1, True),
    ],
)
def test_all_ways_to_lie(matrix: tuple[int, ...], turns: int, mirrored: bool) -> None:
    """Mirrored from left to right, then turned."""
    a, b, c, d = matrix
    found = upright(picture(3), np.array([a, b, 0, c, d, 0, 0, 0, 1], np.int32))
    first = picture(3)[:, ::-1] if mirrored else picture(3)
    if mirrored:
        # x' = a x + c y, y' = b x + d y: the corner at the upper left goes where these say.
        expected = first if turns == 0 else np.rot90(first, turns)
        assert {found.shape} == {expected.shape}
    assert np.array_equal(found, np.rot90(first, turns))


def test_px_that_are_not_square_become_square(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", 1, square=Fraction(2, 1))
    (found,) = frames(path)
    assert found.pixels.shape == (H, 2 * W, 3)
    assert np.abs(found.pixels[H // 2, W // 2] - np.array([255, 0, 0])).max() < 10


def test_a_size_that_changes_is_refused(tmp_path: Path) -> None:
    parts = [
        write_video(tmp_path / f"{width}.ts", 5, codec="mpeg2video", rate=25, sizes=((48, width),))
        for width in (64, 96)
    ]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.raises(ImageError, match=r"both\.ts: frame \d is 96x48 px, the first 64x48"):
        frames(path)


def test_too_many_px_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.avi", 2)
    monkeypatch.setattr(video, "MAX_PIXELS", H * W - 1)
    with pytest.raises(ImageError, match=r"a\.avi: frames of 64x48 px, over 3071 pixels"):
        frames(path)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_a_rate_that_is_none(fps: float, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"frames/s: expected over 0"):
        frames(write_video(tmp_path / "a.avi", 1), fps)


def test_files_that_are_no_video(tmp_path: Path) -> None:
    av()
    (tmp_path / "text.mp4").write_text("no video at all " * 99)
    (tmp_path / "empty.mp4").touch()
    # Each of these would open other files.
    secret = write_video(tmp_path / "secret.avi", 2)
    (tmp_path / "concat.mp4").write_text(f"ffconcat version 1.0\nfile '{secret}'\n")
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:9", "#EXTINF:9,", str(secret), "#EXT-X-ENDLIST"]
    (tmp_path / "hls.mp4").write_text("\n".join(lines) + "\n")
    for name in ("text.mp4", "empty.mp4", "concat.mp4", "hls.mp4"):
        with pytest.raises(ImageError, match=f"{name}: no video that can be read .*expected .mp4"):
            frames(tmp_path / name)
    with pytest.raises(ImageError, match="cannot be read"):
        frames(tmp_path / "none.mp4")
    with pytest.raises(ImageError, match="cannot be read"):
        frames(tmp_path)


def test_sound_without_a_picture(tmp_path: Path) -> None:
    library = av()
    with library.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        sound = library.AudioFrame.from_ndarray(np.zeros((2, 4096), np.float32), format="fltp")
        sound.sample_rate = 44100
        for packet in [*stream.encode(sound), *stream.encode()]:
            container.mux(packet)
    with pytest.raises(ImageError, match=r"a\.mp4: it has no moving picture that can"):
        frames(tmp_path / "a.mp4")


def test_a_cut_video_gives_what_is_there_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = write_video(tmp_path / "a.avi", 40, sizes=((240, 320),))
    data = whole.read_bytes()
    whole.write_bytes(data[: len(data) // 2])
    with caplog.at_level(logging.WARNING):
        found = frames(whole)
    assert 0 < len(found) < 40
    assert f"a.avi: damaged or cut: {len(found)} of 40 frames were read" in caplog.text


def test_an_mp4_without_its_end_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 40)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ImageError, match=r"a\.mp4: no video that can be read"):
        frames(path)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.flv"])
def test_damage_gives_frames_or_an_image_error(name: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / name, 12, codec="flv" if name == "a.flv" else "mpeg4")
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(len(name))
    outcomes = set()
    for _ in range(40):
        broken = bytearray(data)
        for at in rng.integers(0, len(data), rng.integers(1, 30)):
            broken[at] = rng.integers(256)
        path.write_bytes(broken)
        try:
            found = frames(path)
        except ImageError:
            outcomes.add("refused")
            continue
        assert all(frame.pixels.shape[2] == 3 for frame in found)
        outcomes.add("frames")
    assert outcomes == {"frames", "refused"}


def test_without_pyav_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from depth.errors import not_installed

    (tmp_path / "a.mp4").touch()
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ModuleNotFoundError) as missing:
        frames(tmp_path / "a.mp4")
    assert 'pip install ".[video]"' in not_installed(missing.value)
