"""A worker and its clients, frame by frame: answers, refusals, cancelling and the end."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from serve.sidecar.formats import read_raw
from serve.sidecar.frames import MAX_REQUEST_BYTES
from serve.sidecar.worker import Worker
from tests.support.sidecars import PNG, Client, Gate, connect


def test_the_hello_says_who_answers_and_the_limits(worker: Worker) -> None:
    header, _ = connect(worker).next()
    assert header["type"] == "hello"
    assert (header["protocol"], header["pid"], header["model"]) == (1, os.getpid(), "stub")
    assert header["limits"] == {"queue": 4, "payload_bytes": MAX_REQUEST_BYTES}


def test_a_result_has_its_meaning_beside_it_and_progress_before(client: Client, gate: Gate) -> None:
    gate.release.release()
    client.ask("a", format="raw", focal_px=100.0, deadline_s=5, output_size="full")
    stages = [client.next("progress")[0] for _ in range(2)]
    assert [(each["stage"], each["percent"]) for each in stages] == [
        ("inference", 10),
        ("writing_output", 90),
    ]
    header, payload = client.next()
    assert header["type"] == "result"
    assert (header["id"], header["height"], header["width"]) == ("a", 12, 20)
    assert (header["values"], header["unit"], header["stub"]) == ("relative_inverse", None, True)
    assert read_raw(payload).values.shape == (12, 20)
    (asked,) = gate.asked
    assert asked.focal is not None
    assert (asked.focal.focal_px, asked.output_size, asked.deadline_s) == (100.0, "full", 5.0)


def test_answers_come_in_the_order_in_which_images_are_done(client: Client, gate: Gate) -> None:
    client.ask("bad", b"no image")
    client.ask("good")
    gate.release.release(2)
    found = {client.next()[0]["id"]: None for _ in range(2)}
    assert set(found) == {"bad", "good"}


@pytest.mark.parametrize("kind", ["path", "pixels"])
def test_an_image_may_be_a_path_or_pixels(
    client: Client, gate: Gate, tmp_path: Path, kind: str
) -> None:
    gate.release.release()
    if kind == "path":
        (tmp_path / "a.png").write_bytes(PNG)
        client.ask("a", b"", path=str(tmp_path / "a.png"), format="json")
    else:
        client.ask("a", bytes(5 * 7 * 3), pixels={"height": 5, "width": 7}, format="json")
    header, payload = client.next("result")
    found = json.loads(payload)
    assert [found["height"], found["width"]] == ([12, 20] if kind == "path" else [5, 7])
    assert header["values"] == "near1"


def test_shared_memory_is_the_clients_and_goes_with_it(client: Client, gate: Gate) -> None:
    gate.release.release(2)
    paths = []
    for name in ("a", "b"):
        client.ask(name, format="shm")
        header, payload = client.next("result")
        assert payload == b""
        paths.append(Path(header["shm"]["path"]))
        assert paths[-1].stat().st_size == header["shm"]["size_bytes"] == 32 + 4 * 12 * 20
        assert paths[-1].stat().st_mode & 0o777 == 0o600
        assert read_raw(paths[-1].read_bytes()).values[:, 0].max() == 1.0
    paths[0].unlink()  # fetched
    assert client.leave()
    assert not paths[1].exists()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"type": "depth"}, "missing field id"),
        ({"type": "depth", "id": ""}, "id ''"),
        ({"type": "depth", "id": "x" * 65}, "expected 1 to 64"),
        ({"type": "depth", "id": "a\n"}, "expected 1 to 64"),
        ({"type": "depth", "id": "a", "format": "zip"}, "format 'zip': expected one of raw, json"),
        ({"type": "depth", "id": "a", "values": "x"}, "values 'x': expected one of near1, native"),
        ({"type": "depth", "id": "a", "preset": "zip"}, "preset 'zip': expected one of 3dgs"),
        (
            {"type": "depth", "id": "a", "preset": "nyu", "format": "raw"},
            "leave format",
        ),
        ({"type": "depth", "id": "a", "preset": 3}, "preset"),
        ({"type": "depth", "id": "a", "output_size": "x"}, "output_size 'x'"),
        ({"type": "depth", "id": "a", "deadline_s": 0}, "deadline_s 0.0: must be above 0"),
        ({"type": "depth", "id": "a", "deadline_s": "soon"}, "expected float"),
        ({"type": "depth", "id": "a", "focal_px": -1}, "focal"),
        ({"type": "depth", "id": "a", "path": "a.png"}, "expected an absolute path"),
        ({"type": "depth", "id": "a", "path": "/a.png"}, "either an image as the payload"),
        ({"type": "depth", "id": "a", "pixels": {"height": 9, "width": 9}}, "uint8 [H,W,3]"),
        ({"type": "depth", "id": "a", "pixels": {"height": -1, "width": 0}}, "uint8 [H,W,3]"),
        ({"type": "depth", "id": "a", "secret": 1}, "unknown field secret"),
        ({"type": "open"}, "expected one of depth, cancel, ping, shutdown"),
        ({}, "a frame of type None"),
        ({"type": "cancel"}, "id None"),
        ({"type": "ping", "more": 1}, "unknown field more"),
    ],
)
def test_a_bad_request_is_refused_and_the_next_is_answered(
    client: Client, gate: Gate, fields: dict[str, Any], said: str
) -> None:
    client.send(fields, PNG)
    _, kind, message = client.error()
    assert (kind, said in message) == ("InputError", True), message
    gate.release.release()
    client.ask("a")
    assert client.next()[0]["type"] == "result"


def test_an_empty_payload_is_no_image(client: Client) -> None:
    client.ask("a", b"")
    assert client.error()[:2] == ("a", "InputError")


def test_a_damaged_image_fails_alone_with_the_reason(client: Client, gate: Gate) -> None:
    gate.release.release(2)
    client.ask("a", PNG[:20])
    name, kind, message = client.error()
    assert (name, kind) == ("a", "ImageError")
    assert "Expected a complete JPEG" in message
    client.ask("a")
    assert client.next()[0]["id"] == "a"


def test_garbage_is_answered_with_what_was_expected_and_ends_that_client_only(
    worker: Worker, client: Client, gate: Gate
) -> None:
    other = connect(worker)
    other.next("hello")
    other.end.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    header, _ = other.next("error")
    assert (header["id"], header["kind"]) == (None, "FrameError")
    assert "begins with b'DSC1'" in header["message"]
    assert other.ended()
    assert not other.leave()
    gate.release.release()
    client.ask("a")
    assert client.next()[0]["type"] == "result"


def test_a_client_that_vanishes_inside_a_frame_leaves_no_request(worker: Worker) -> None:
    client = connect(worker)
    client.next("hello")
    client.send({"type": "ping"})
    client.next("pong")
    client.end.sendall(b"DSC1" + (40).to_bytes(4, "little") + (500).to_bytes(8, "little"))
    client.leave()
    client = connect(worker)
    client.next("hello")
    head = b'{"type":"depth","id":"a"}'
    sizes = len(head).to_bytes(4, "little") + (500).to_bytes(8, "little")
    client.end.sendall(b"DSC1" + sizes + head + b"only some bytes")
    client.leave()
    other = connect(worker)
    other.next("hello")
    other.send({"type": "ping"})
    assert other.next("pong")[0]["jobs"] == 0
