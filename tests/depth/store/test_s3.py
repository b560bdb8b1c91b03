"""Large objects in parts against a real server: killed, retried, checked."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from mmap import mmap
from typing import Any, Optional

import pytest

from depth.errors import StoreError
from depth.files import sha256_bytes
from depth.store.s3 import S3Store
from tests.support import s3_server
from tests.support.places import ROOT

MIB = 1 << 20
PART_BYTES = 5 * MIB  # the least that S3 takes
DATA = (bytes(range(251)) * (6 * MIB // 251 + 1))[: 6 * MIB]  # two parts
SMALL = DATA[: 4 * MIB]  # one request


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Store]:
    s3_server.settings(monkeypatch)
    bucket, prefix = place(s3_server.location())
    with closing(S3Store(bucket, prefix, s3_server.running().url, PART_BYTES)) as made:
        yield made


def place(location: str) -> tuple[str, str]:
    """Bucket and prefix."""
    bucket, _, prefix = location[len("s3://") :].partition("/")
    return bucket, prefix


def requests(store: S3Store) -> list[str]:
    """A list that grows with the name of every operation that is sent."""
    sent: list[str] = []

    def note(model: Any, **_: Any) -> None:
        sent.append(model.name)

    for client in (store.client, store.sender):
        client.meta.events.register("before-call.s3", note)
    return sent


def in_memory(data: bytes) -> mmap:
    """Bytes as the store takes them: a mapping, read from its beginning."""
    made = mmap(-1, len(data))
    made[:] = data
    return made


def upload(store: S3Store, key: str = "big", data: bytes = DATA) -> int:
    return store.upload(key, in_memory(data), sha256_bytes(data), lambda _: None)


def whole(store: S3Store, data: bytes = DATA, key: str = "big") -> bytes:
    file = io.BytesIO()
    store.download(key, file, len(data), lambda _: None)
    return file.getvalue()


def unfinished(store: S3Store) -> int:
    """How many uploads wait for more parts."""
    bucket, prefix = place(store.name)
    found = store.client.list_multipart_uploads(Bucket=bucket, Prefix=prefix)
    return len(found.get("Uploads", ()))


_KILLED = """
import os, signal, sys
from depth.store.s3 import S3Store
from tests.depth.store.test_s3 import DATA, PART_BYTES, in_memory, sha256_bytes
bucket, prefix, url = sys.argv[1:]
store = S3Store(bucket, prefix, url, PART_BYTES)
kept = store.sender._make_api_call
def killed(name, arguments):
    if name == "CompleteMultipartUpload":
        os.kill(os.getpid(), signal.SIGKILL)
    return kept(name, arguments)
store.sender._make_api_call = killed
for key in ("first", "big"):
    data = DATA[:9] if key == "first" else DATA
    store.upload(key, in_memory(data), sha256_bytes(data), lambda _: None)
"""


def test_a_killed_push_sends_complete_objects_once(store: S3Store) -> None:
    arguments = (*place(store.name), s3_server.running().url)
    done = subprocess.run([sys.executable, "-c", _KILLED, *arguments], cwd=ROOT, check=False)
    assert done.returncode == -9
    assert unfinished(store) == 1
    assert [listed.key for listed in store.listed("")] == ["first"]
    sent = requests(store)
    assert upload(store, "first", DATA[:9]) == 0
    assert sent == ["HeadObject"]
    progress: list[int] = []
    assert store.upload("big", in_memory(DATA), sha256_bytes(DATA), progress.append) == len(DATA)
    assert sum(progress) == len(DATA)
    assert sent.count("UploadPart") == 2
    assert whole(store) == DATA
    sent.clear()
    assert upload(store) == 0
    assert sent == ["HeadObject"]


def test_an_upload_that_fails_leaves_no_parts(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def aborted(**_: Any) -> None:
        raise store.client.exceptions.NoSuchUpload(
            {"Error": {"Code": "NoSuchUpload"}}, "UploadPart"
        )

    monkeypatch.setattr(store.sender, "upload_part", aborted)
    with pytest.raises(StoreError, match="the upload was aborted from elsewhere; push again"):
        upload(store)
    assert unfinished(store) == 0
    assert list(store.listed("")) == []


def test_every_request_carries_its_sha256(store: S3Store) -> None:
    checksums: list[str] = []

    def note(request: Any, **_: Any) -> None:
        found = request.headers["x-amz-checksum-sha256"]
        checksums.append(found if isinstance(found, str) else found.decode())

    for operation in ("PutObject", "UploadPart"):
        store.sender.meta.events.register(f"before-send.s3.{operation}", note)
    upload(store, "small", SMALL)
    upload(store)
    parts = (SMALL, DATA[:PART_BYTES], DATA[PART_BYTES:])
    assert sorted(checksums) == sorted(map(sha256_base64, parts))


def sha256_base64(data: bytes) -> str:
    return b64encode(hashlib.sha256(data).digest()).decode()


@pytest.mark.parametrize(
    ("kept", "size_bytes", "there"),
    [
        (sha256_base64(DATA), len(DATA), True),
        (sha256_base64(SMALL), len(DATA), False),
        (sha256_base64(DATA), len(DATA) - 1, False),
        ("of the parts", len(DATA), True),
        (None, len(DATA), True),
    ],
)
def test_size_and_checksum_are_compared_before_and_after_sending(
    store: S3Store,
    monkeypatch: pytest.MonkeyPatch,
    kept: Optional[str],
    size_bytes: int,
    there: bool,
) -> None:
    tag = '"9a-2"' if kept == "of the parts" else '"9a"'
    head: dict[str, Any] = {"ContentLength": size_bytes, "ETag": tag}
    if kept is not None:
        head["ChecksumSHA256"] = kept
    monkeypatch.setattr(store.client, "head_object", lambda **_: head)
    if there:
        assert upload(store) == 0
    else:
        with pytest.raises(StoreError, match="big: is not what was sent; push again"):
            upload(store)


def cut_streams(store: S3Store, monkeypatch: pytest.MonkeyPatch, times: int) -> list[int]:
    """So many answers end after 1000 bytes; returns a list that grows with each answer."""
    answers: list[int] = []
    kept = store.client.get_object

    def get_object(**arguments: Any) -> Any:
        found = kept(**arguments)
        answers.append(found["ContentLength"])
        if len(answers) <= times:
            found["Body"]._raw_stream = io.BytesIO(found["Body"]._raw_stream.read(1000))
        return found

    monkeypatch.setattr(store.client, "get_object", get_object)
    return answers


def test_a_stream_that_is_cut_off_is_read_again(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(store, data=SMALL)
    answers = cut_streams(store, monkeypatch, 2)
    assert whole(store, SMALL) == SMALL
    assert len(answers) == 3


def test_a_stream_that_is_always_cut_off_is_given_up(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(store, data=SMALL)
    answers = cut_streams(store, monkeypatch, 100)
    with pytest.raises(StoreError, match=r"broke off \(1000 read, but .*\); run the command again"):
        whole(store, SMALL)
    assert len(answers) == 5


def test_an_object_that_changes_while_it_is_read_is_refused(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(store)
    kept = store.client.head_object
    other = '"00000000000000000000000000000000"'
    monkeypatch.setattr(store.client, "head_object", lambda **a: {**kept(**a), "ETag": other})
    with pytest.raises(StoreError):
        whole(store)


def test_an_object_of_another_size_is_not_read(store: S3Store) -> None:
    upload(store, data=b"short")
    sent = requests(store)
    assert whole(store, SMALL) == b""
    assert sent == ["HeadObject"]
