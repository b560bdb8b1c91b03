"""Frames: what goes in comes out, limits hold before memory is taken, and garbage has a reason."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc

import pytest

from serve.sidecar.frames import (
    MAX_HEADER_BYTES,
    FrameError,
    FrameReader,
    HeaderError,
    write_frame,
)


def reader(data: bytes, limit: int = 1000) -> FrameReader:
    return FrameReader(io.BytesIO(data).readinto, limit)


def frame(header: object, payload: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<4sIQ", b"DSC1", len(text), len(payload)) + text + payload


def read_one(frames: FrameReader) -> bytes:
    head = frames.head()
    assert head is not None
    return bytes(frames.payload(head))


def test_frames_come_out_as_they_went_in() -> None:
    out = io.BytesIO()
    write_frame(out.write, {"type": "ping", "id": "ä"}, b"abc")
    write_frame(out.write, {}, memoryview(b"12345678").cast("I"))
    assert out.getvalue() == frame({"type": "ping", "id": "ä"}, b"abc") + frame({}, b"12345678")
    frames = reader(out.getvalue())
    first = frames.head()
    assert first is not None
    assert first.header == {"type": "ping", "id": "ä"}
    assert frames.payload(first) == b"abc"
    second = frames.head()
    assert second is not None
    frames.skip(second)
    assert frames.head() is None


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 16, b"dsc1" + bytes(12)])
def test_other_bytes_are_refused_with_what_was_expected(data: bytes) -> None:
    with pytest.raises(FrameError, match="begins with b'DSC1'"):
        reader(data).head()


@pytest.mark.parametrize(
    ("header_bytes", "payload_bytes", "part"),
    [(MAX_HEADER_BYTES + 1, 0, "header"), (2, 1001, "payload"), (2**32 - 1, 2**64 - 1, "header")],
)
def test_a_size_over_the_limit_is_refused_before_memory_is_taken(
    header_bytes: int, payload_bytes: int, part: str
) -> None:
    data = struct.pack("<4sIQ", b"DSC1", header_bytes, payload_bytes) + b"{}"
    tracemalloc.start()
    try:
        with pytest.raises(FrameError, match=f"a {part} of .* expected at most"):
            reader(data).head()
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_a_stream_that_ends_inside_a_frame_is_refused() -> None:
    whole = frame({"type": "ping"}, b"abcdef")
    for size in range(1, len(whole)):
        frames = reader(whole[:size])
        with pytest.raises(FrameError, match="the stream ended"):
            read_one(frames)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"1", b"\xff", b'{"a": NaN}', b"[" * 60_000])
def test_a_header_that_is_no_object_leaves_the_next_frame_readable(text: bytes) -> None:
    frames = reader(frame(text, b"xy") + frame({"type": "ping"}))
    head = frames.head()
    assert head is not None
    assert isinstance(head.header, HeaderError)
    frames.skip(head)
    following = frames.head()
    assert following is not None
    assert following.header == {"type": "ping"}


def test_a_header_that_no_reader_would_take_is_not_written() -> None:
    out = io.BytesIO()
    with pytest.raises(ValueError, match="expected at most"):
        write_frame(out.write, {"id": "x" * MAX_HEADER_BYTES})
    with pytest.raises(ValueError, match="JSON"):
        write_frame(out.write, {"id": float("nan")})
    assert out.getvalue() == b""
