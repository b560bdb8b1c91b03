"""What is not an acceptable image is refused with a reason, and nothing else happens."""

from __future__ import annotations

import io
import os
import re
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from depth.errors import ImageError, InputError
from depth.images.listing import list_images
from depth.images.read import MAX_FILE_BYTES, decode_image, read_image
from depth_anything_v2.config import SIZE
from tests.support.hostile import encoded, write_hostile_folder
from tests.support.image_samples import GRAY, JPEG, PNG, RGB, STORED, chunk, opencv, read_header


def png_of_size(
    width: int, height: int, bits: int = 8, colour: int = 2, compression: int = 0
) -> bytes:
    fields = (width, height, bits, colour, compression, 0, 0)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *fields))
    return PNG[:8] + header + PNG[33:]


def turned_tiles() -> bytes:
    file = io.BytesIO()
    orientation = (274, 3, 1, 6, False)
    tifffile.imwrite(
        file, np.asarray(RGB), photometric="rgb", tile=(32, 32), extratags=[orientation]
    )
    return file.getvalue()


@pytest.mark.parametrize(
    "name", ["jpeg", "png", *(name for name in STORED if name != "tiff pages")]
)
def test_a_truncated_file_is_refused_in_silence(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    data = {"jpeg": JPEG, "png": PNG}.get(name) or STORED[name][0]
    for share in (0.02, 0.2, 0.5, 0.9, 0.99):
        cut = data[: int(len(data) * share)]
        with pytest.raises(ImageError, match=r"x\.y: .*\. Expected a complete JPEG"):
            decode_image(cut, "x.y")
    assert capfd.readouterr() == ("", "")


def test_a_jpeg_cut_and_closed_again_is_refused() -> None:
    with pytest.raises(ImageError, match="premature end"):
        decode_image(JPEG[: len(JPEG) // 2] + JPEG[-2:], "x")
    with pytest.raises(ImageError, match="end of the picture is missing"):
        read_header(encoded(RGB, "JPEG", progressive=True)[:-2])


@pytest.mark.parametrize("name", STORED)
def test_damage_never_escapes_as_anything_but_an_image_error(name: str) -> None:
    generator = np.random.default_rng(len(name))
    data = STORED[name][0]
    for _ in range(60):
        damaged = bytearray(data)
        for _ in range(3):
            reach = 120 if generator.random() < 0.6 else len(data)
            damaged[generator.integers(2, min(reach, len(data)))] = generator.integers(256)
        try:
            image = decode_image(bytes(damaged), "x")
        except ImageError:
            continue
        assert image.pixels.shape == (image.header.height_px, image.header.width_px, 3)


FLOATS = Image.fromarray(np.asarray(GRAY).astype(np.float32))
REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "empty"),
    "text": (b"hello, this is text", "not an image"),
    "text that starts like a BMP": (b"BMW is a maker of cars and of motorcycles", "not an image"),
    "gif": (encoded(RGB, "GIF"), "GIF files are not read; convert"),
    "heic": (b"\0\0\0\x18ftypheic" + bytes(20), "HEIC files are not read"),
    "float tiff": (encoded(FLOATS, "TIFF"), "floating-point samples"),
    "tiff without directory": (b"II*\0\xff\0\0\0", "part of its header is missing"),
    "bigtiff far away": (b"II+\0\x08\0\0\0" + b"\xff" * 8, "part of its header is missing"),
    "turned tiles": (turned_tiles(), "tiled TIFF with orientation 6"),
    "bomb": (png_of_size(20_000, 20_000), "20000x20000 px is too large: .* 100 megapixels"),
    "no PNG bits": (png_of_size(9, 9, bits=3), "a PNG of 3 bits, colour type 2"),
    "no PNG colour": (png_of_size(9, 9, colour=5), "a PNG of 8 bits, colour type 5"),
    "no PNG compression": (png_of_size(9, 9, compression=1), r"interlacing \[1, 0, 0\]"),
    "no size": (png_of_size(0, 5), "size of 0x5"),
    "endless chunks": (PNG[:33] + chunk(b"tEXt", b"") * 100_001, "end of the picture"),
    "wrong checksum": (PNG[:60] + bytes(4) + PNG[64:], "checksum"),
    "no pixels": (PNG[:33] + chunk(b"IEND", b""), "without header or pixels"),
    "jpeg without picture": (b"\xff\xd8\xff\xd9", "no picture"),
    "12-bit jpeg": (JPEG.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"), "12 bits"),
    "pbm": (encoded(RGB.convert("1"), "PPM"), "PBM, PAM, PFM and text PNM files are not read"),
    "text pnm": (b"P3 1 1 255 1 2 3", "text PNM files are not read"),
    "pgm of 10 bits": (b"P5 2 2 1023 " + bytes(8), "values up to 1023 is not read, only 255"),
    "pgm without numbers": (b"P5 2 2 ", "part of its header is missing"),
    "pgm without pixels": (b"P5 2 2 255 123", "1 bytes at its end is missing"),
    "pgm without size": (b"P5 0 2 255 ", "size of 0x2"),
    "pgm of many pixels": (b"P5 20000 20000 255 ", "too large"),
    "over the limit": (bytes(MAX_FILE_BYTES + 1), "limit of 200 MB"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_decoding(name: str) -> None:
    data, reason = REFUSED[name]
    with pytest.raises(ImageError, match=reason):
        read_header(data)
    with pytest.raises(ImageError, match=f"shot: .*{reason}"):
        decode_image(data, "shot")


def test_a_file_that_becomes_a_pipe_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the pipe took the file's place after a look at it."""
    (tmp_path / "a.jpg").write_bytes(JPEG)
    before = (tmp_path / "a.jpg").stat()
    os.mkfifo(tmp_path / "pipe.jpg")
    monkeypatch.setattr(Path, "stat", lambda *_, **__: before)
    reasons: list[str] = []

    def read() -> None:
        try:
            read_image(tmp_path / "pipe.jpg")
        except ImageError as error:
            reasons.append(str(error))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(5)
    assert "cannot be read (not a regular file)" in "".join(reasons)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    with (tmp_path / "large.jpg").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    reasons = {
        "": "a folder",
        "missing.jpg": "No such file",
        "pipe.jpg": "not a regular file",
        "loop.jpg": "symbolic links",
        "large.jpg": "limit of 200 MB",
    }
    for name, reason in reasons.items():
        for read in (read_image, read_header):
            message = f"^{re.escape(str(tmp_path / name))}: .*{reason}.*Expected a complete JPEG"
            with pytest.raises(ImageError, match=message):
                read(tmp_path / name)


def test_a_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "private.jpg"
    path.write_bytes(JPEG)
    path.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(ImageError, match="Permission denied"):
            read_image(path)
    finally:
        os.seteuid(user)


def test_any_name_and_links_to_files(tmp_path: Path) -> None:
    for name in ("größe 深度.jpg", os.fsdecode(b"\xff\xfe.jpg")):
        (tmp_path / name).write_bytes(JPEG)
        (tmp_path / "link.jpg").unlink(missing_ok=True)
        (tmp_path / "link.jpg").symlink_to(tmp_path / name)
        for path in (tmp_path / name, tmp_path / "link.jpg"):
            assert np.array_equal(read_image(path).pixels, opencv(JPEG))
        (tmp_path / name).write_bytes(b"text")
        with pytest.raises(ImageError) as caught:
            read_image(tmp_path / name)
        str(caught.value).encode("utf-8")


def test_hostile_folder(tmp_path: Path) -> None:
    outcomes = write_hostile_folder(tmp_path)
    assert [path.name for path in list_images(tmp_path)] == sorted(outcomes)
    for name, reason in outcomes.items():
        if reason is None:
            read_image(tmp_path / name)
        else:
            with pytest.raises(InputError, match=reason):
                SIZE.size_for(*read_image(tmp_path / name).pixels.shape[:2])
