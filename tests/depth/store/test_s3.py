"""Large objects in parts against a real server: cut off, resumed, shared, checked."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Optional

import pytest

from depth.errors import StoreError
from depth.files import sha256_bytes
from depth.store.multipart import Parts, is_ours
from depth.store.s3 import S3Store
from tests.support import s3_server
from tests.support.places import ROOT

MIB = 1 << 20
PART_BYTES = 5 * MIB  # the least that S3 takes
LARGE = bytes(range(251)) * (16 * MIB // 251)  # four parts, the last one smaller
DATA = LARGE[: 6 * MIB]  # two parts
SMALL = LARGE[: 5 * MIB]  # one, read in five chunks


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Store]:
    s3_server.settings(monkeypatch)
    with opened(s3_server.location()) as one:
        yield one


@contextmanager
def opened(location: str) -> Iterator[S3Store]:
    bucket, _, prefix = location[len("s3://") :].partition("/")
    store = S3Store(bucket, prefix, s3_server.running().url, PART_BYTES)
    yield store
    store.close()


def requests(store: S3Store) -> list[str]:
    """A list that grows with the name of every operation that is sent."""
    sent: list[str] = []

    def note(model: Any, **_: Any) -> None:
        sent.append(model.name)

    store.client.meta.events.register("before-call.s3", note)
    return sent


def upload(store: S3Store, key: str = "big", data: bytes = DATA) -> int:
    return store.upload(key, memoryview(data), sha256_bytes(data), lambda _: None)


def whole(store: S3Store, data: bytes = DATA, start: int = 0) -> bytes:
    return b"".join(store.download("big", start, len(data)))


def unfinished(store: S3Store, key: str = "big") -> list[str]:
    """Uploads of this key that wait for more."""
    bucket, _, prefix = store.name[len("s3://") :].partition("/")
    found = store.client.list_multipart_uploads(Bucket=bucket, Prefix=f"{prefix}/{key}")
    return [upload["UploadId"] for upload in found.get("Uploads", ())]


_KILLED = """
import os, signal, sys
from depth.store.s3 import S3Store
from tests.depth.store.test_s3 import LARGE, PART_BYTES, sha256_bytes
parts = 0
def on_bytes(_):
    global parts
    parts += 1
    if parts == 2:
        os.kill(os.getpid(), signal.SIGKILL)
bucket, prefix, url = sys.argv[1:]
store = S3Store(bucket, prefix, url, PART_BYTES)
store.upload("big", memoryview(LARGE), sha256_bytes(LARGE), on_bytes)
"""


def test_a_killed_upload_goes_on_with_the_parts_that_are_missing(store: S3Store) -> None:
    bucket, _, prefix = store.name[len("s3://") :].partition("/")
    upload(store, "big-too", DATA[:PART_BYTES])
    arguments = (bucket, prefix, s3_server.running().url)
    done = subprocess.run([sys.executable, "-c", _KILLED, *arguments], cwd=ROOT, check=False)
    assert done.returncode == -9
    assert len(unfinished(store)) == 1
    assert [listed.key for listed in store.listed("")] == ["big-too"]
    sent = requests(store)
    progress: list[int] = []
    sent_bytes = store.upload("big", memoryview(LARGE), sha256_bytes(LARGE), progress.append)
    assert sent_bytes == len(LARGE) - 2 * PART_BYTES
    assert sent.count("UploadPart") == 2
    assert "CreateMultipartUpload" not in sent
    assert progress == [PART_BYTES] * 3 + [len(LARGE) - 3 * PART_BYTES]
    assert b"".join(store.download("big", 0, len(LARGE))) == LARGE
    assert unfinished(store) == []
    sent.clear()
    assert upload(store, data=LARGE) == 0
    assert sent == ["HeadObject"]


def begin(store: S3Store, key: str, part: Optional[bytes]) -> str:
    """Somebody's upload, with this as its first part."""
    bucket, _, prefix = store.name[len("s3://") :].partition("/")
    address = {"Bucket": bucket, "Key": f"{prefix}/{key}"}
    upload_id: str = store.client.create_multipart_upload(**address)["UploadId"]
    if part is not None:
        store.client.upload_part(**address, UploadId=upload_id, PartNumber=1, Body=part)
    return upload_id


def test_unfinished_uploads_of_others_are_left_alone(store: S3Store) -> None:
    theirs = [
        begin(store, "big", b"x" * PART_BYTES),
        begin(store, "big", DATA),  # right bytes, but in a part of another size
        begin(store, "big", None),
    ]
    neighbour = begin(store, "big-too", DATA[:PART_BYTES])
    sent = requests(store)
    assert upload(store) == len(DATA)
    assert sent.count("UploadPart") == 2
    assert set(unfinished(store)) == {*theirs, neighbour}
    assert whole(store) == DATA


def test_an_upload_that_another_push_completes_is_no_failure(
    store: S3Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    begin(store, "big", DATA[:PART_BYTES])
    with opened(store.name) as other:

        def completed_by_another(**_: Any) -> None:
            assert upload(other) == len(DATA) - PART_BYTES
            raise store.client.exceptions.NoSuchUpload({"Error": {}}, "UploadPart")

        monkeypatch.setattr(store.client, "upload_part", completed_by_another)
        assert upload(store) == 0
    assert "another push of big ended the upload" in caplog.text
    assert whole(store) == DATA


def test_an_upload_that_another_push_gives_up_is_told(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def aborted(**_: Any) -> None:
        raise store.client.exceptions.NoSuchUpload({"Error": {}}, "UploadPart")

    monkeypatch.setattr(store.client, "upload_part", aborted)
    with pytest.raises(StoreError, match="big: is not what was sent; push again"):
        upload(store)


def test_a_server_that_keeps_other_bytes_is_told(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = store._put
    monkeypatch.setattr(store, "_put", lambda key, data: kept(key, data[:-1]))
    with pytest.raises(StoreError, match="small: is not what was sent; push again"):
        upload(store, "small", b"data")


def test_an_object_with_another_checksum_is_sent_again(store: S3Store) -> None:
    wrong = b"x" + DATA[1:]
    upload(store, data=wrong)  # the server keeps a checksum of objects in parts
    assert upload(store) == len(DATA)
    assert whole(store) == DATA


@pytest.mark.parametrize(
    ("kept", "there"),
    [
        ("{full}", True),
        ("{composite}-2", True),
        ("{other}", False),
        ("{other}-2", False),
        ("{other}-3", True),  # over parts of another size: nothing can be said
        (None, True),
    ],
)
def test_what_the_server_says_of_checksums_is_compared(
    store: S3Store, monkeypatch: pytest.MonkeyPatch, kept: Optional[str], there: bool
) -> None:
    head: dict[str, Any] = {"ContentLength": len(DATA)}
    if kept is not None:
        full = b64encode(hashlib.sha256(DATA).digest()).decode()
        composite = Parts(memoryview(DATA), PART_BYTES).composite_checksum()
        head["ChecksumSHA256"] = kept.format(full=full, composite=composite, other="b" * 44)
    monkeypatch.setattr(store.client, "head_object", lambda **_: head)
    assert store._has("big", memoryview(DATA), sha256_bytes(DATA)) is there


def test_a_part_is_ours_by_its_checksum_or_else_by_its_md5() -> None:
    parts = Parts(memoryview(b"abcde"), 3)
    md5 = {1: "900150983cd24fb0d6963f7d28e17f72", 2: "5f02f0889301fd7be1ac972c11bf3e7d"}
    found = {"PartNumber": 1, "Size": 3, "ETag": f'"{md5[1]}"'}
    assert is_ours(found, parts)
    assert is_ours({"PartNumber": 2, "Size": 2, "ETag": f'"{md5[2]}"'}, parts)
    assert not is_ours({**found, "ETag": f'"{md5[2]}"'}, parts)
    assert not is_ours({**found, "Size": 2}, parts)
    assert not is_ours({**found, "PartNumber": 3}, parts)
    assert is_ours({**found, "ETag": '"encrypted"', "ChecksumSHA256": parts.checksum(1)}, parts)
    assert not is_ours({**found, "ChecksumSHA256": parts.checksum(2)}, parts)


def cut_streams(store: S3Store, monkeypatch: pytest.MonkeyPatch, at_byte: int) -> list[str]:
    """Every answer's body ends too early; returns the ranges that are asked for."""
    asked: list[str] = []
    kept = store.client.get_object

    def get_object(**arguments: Any) -> Any:
        asked.append(arguments.get("Range", ""))
        found = kept(**arguments)
        stream = found["Body"]._raw_stream
        read, left = stream.read, at_byte

        def cut(amount: int) -> bytes:
            nonlocal left
            data: bytes = read(min(amount, left))
            left -= len(data)
            return data

        monkeypatch.setattr(stream, "read", cut)
        return found

    monkeypatch.setattr(store.client, "get_object", get_object)
    return asked


def test_a_stream_that_is_cut_off_goes_on_from_there(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(store, data=SMALL)
    asked = cut_streams(store, monkeypatch, 2 * MIB)
    assert whole(store, SMALL) == SMALL
    assert asked == ["", f"bytes={2 * MIB}-", f"bytes={4 * MIB}-"]


def test_a_stream_that_is_always_cut_off_is_given_up(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(store, data=SMALL)
    asked = cut_streams(store, monkeypatch, 1000)
    with pytest.raises(StoreError, match=r"broke off \(1000 read, but .*\); run it again"):
        whole(store, SMALL)
    assert len(asked) == 5


def test_a_server_that_knows_no_ranges_is_read_from_the_start(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(store, data=SMALL)
    kept = store.client.get_object
    monkeypatch.setattr(
        store.client, "get_object", lambda Bucket, Key, **_: kept(Bucket=Bucket, Key=Key)
    )
    assert whole(store, SMALL, start=2 * MIB) == SMALL[2 * MIB :]


def test_an_object_that_ends_before_the_range_gives_nothing(store: S3Store) -> None:
    upload(store, data=b"short")
    assert whole(store, SMALL, start=2 * MIB) == b""
