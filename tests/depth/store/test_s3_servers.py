"""S3 servers other than AWS's: no checksums, no answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from depth.errors import StoreError
from depth.files import sha256_bytes
from depth.store import s3
from depth.store.catalogue import find
from depth.store.pull import pull
from depth.store.push import push
from depth.store.s3 import S3Store
from tests.depth.store.test_s3 import DATA, PART_BYTES, in_memory, place, whole
from tests.support import s3_server
from tests.support.odd_servers import refusing_checksums, silent
from tests.support.stored_artifacts import contents, make


@pytest.fixture(params=["InvalidArgument", "NotImplemented"])
def without_checksums(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[S3Store, list[str]]]:
    s3_server.settings(monkeypatch)
    bucket, prefix = place(s3_server.location())
    server = refusing_checksums(s3_server.running().url, request.param)
    with server as (url, refused), closing(S3Store(bucket, prefix, url, PART_BYTES)) as store:
        yield store, refused


def test_a_server_that_refuses_checksums_is_pushed_to_without_them(
    without_checksums: tuple[S3Store, list[str]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, refused = without_checksums
    artifact = make(tmp_path / "made")
    progress: list[int] = []
    done = push(store, artifact, progress.append)
    size_bytes = done.sent_bytes
    assert sum(progress) == size_bytes > 0
    assert refused == ["PUT"], "asked again for each object"
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING] == [
        f"{store.name}: the server takes no checksums; sent without them"
    ]
    folder = pull(store, find(store, artifact.identity), tmp_path / "out")
    assert contents(folder) == contents(artifact.folder)
    assert push(store, artifact).sent_bytes == 0


def test_parts_are_sent_without_checksums_too(
    without_checksums: tuple[S3Store, list[str]],
) -> None:
    store, refused = without_checksums
    progress: list[int] = []
    assert store.upload("big", in_memory(DATA), sha256_bytes(DATA), progress.append) == len(DATA)
    assert sum(progress) == len(DATA)
    assert refused == ["POST"]
    assert whole(store) == DATA


def test_a_request_that_is_refused_for_another_reason_is_an_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    s3_server.settings(monkeypatch)
    store = S3Store("no-such-bucket", "", s3_server.running().url)
    with closing(store), pytest.raises(StoreError, match="there is no such bucket"):
        store.write("key", b"data")
    assert "takes no checksums" not in caplog.text


@pytest.mark.long
def test_a_server_that_never_answers_is_given_up_in_a_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    s3_server.settings(monkeypatch)
    assert 5 * s3._ANSWER_TIMEOUT_S <= 60  # boto3's attempts
    monkeypatch.setattr(s3, "_ANSWER_TIMEOUT_S", 0.1)
    started = time.monotonic()
    with silent() as url, closing(S3Store("bucket", "", url)) as store:
        for ask in (lambda: list(store.listed("")), lambda: store.read("key", 9)):
            with pytest.raises(StoreError, match="takes connections and does not answer .*--end"):
                ask()
        with pytest.raises(StoreError, match="takes connections and does not answer"):
            store.upload("key", in_memory(b"data"), sha256_bytes(b"data"), lambda _: None)
    assert time.monotonic() - started < 60
