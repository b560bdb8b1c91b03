"""The S3 job and the store of artifacts at Ceph's gateway, which this run starts: `make test-ceph`."""  # noqa: E501

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from depth.errors import StoreError
from depth.store.catalogue import find
from depth.store.listing import listing
from depth.store.objects import open_store
from depth.store.promote import promote
from depth.store.pull import pull
from depth.store.push import push
from depth.store.s3 import S3Store
from serve.jobs.entry import DONE, KEPT
from tests.support import ceph, s3_server
from tests.support.object_jobs import left, put_images, run
from tests.support.object_kills import Toll, torment
from tests.support.stored_artifacts import contents, make

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        "DEPTH_TEST_CEPH" not in os.environ, reason="starts Ceph: `make test-ceph` runs these"
    ),
]
BUCKET = "depth"
_numbers = count()


@pytest.fixture(scope="module")
def gateway() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="ceph-") as folder, ceph.gateway(Path(folder)) as url:
        yield url


@pytest.fixture
def url(gateway: str, monkeypatch: pytest.MonkeyPatch) -> str:
    s3_server.settings(monkeypatch)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ceph.KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", ceph.SECRET)
    S3Store(BUCKET, "", gateway).client.create_bucket(Bucket=BUCKET)
    return gateway


@pytest.fixture
def place() -> str:
    """A prefix that nobody used yet."""
    return f"s3://{BUCKET}/{next(_numbers)}"


def test_images_are_done_once_and_kept_by_a_rerun(url: str, place: str) -> None:
    with open_store(f"{place}/in", url) as images:
        keys = put_images(images, 6)
    for fate in (DONE, KEPT):
        ran = run(f"{place}/in", f"{place}/out", url)
        assert (ran.report.exit_code, ran.fates) == (0, dict.fromkeys(keys, fate))
    with open_store(f"{place}/out", url) as results:
        there = left(results)
    assert (set(there.images), there.wrong, there.orphans, there.probes) == ({*keys}, [], [], [])


def test_shards_that_are_killed_make_every_result_once(
    url: str, place: str, tmp_path: Path
) -> None:
    with open_store(f"{place}/in", url) as images:
        put_images(images, 60)
    toll = torment(place, url, tmp_path, Toll(60, 2, 4, seconds_per_image=0.1))
    assert (toll.killed, toll.exit_codes) == (4, [0, 0])
    assert (toll.right, toll.several, toll.wrong, toll.changed) == (60, 0, 0, 0)


def test_an_artifact_is_pushed_listed_and_pulled_and_no_alias_is_moved(
    url: str, place: str, tmp_path: Path
) -> None:
    """Ceph 16.2 refuses If-Match with the object's own ETag, so aliases cannot be kept there."""
    artifact = make(tmp_path / "made")
    with open_store(place, url) as store:
        push(store, artifact)
        entry = find(store, artifact.identity)
        with pytest.raises(StoreError, match="refuses conditional writes whose condition holds"):
            promote(store, entry, "vits/cpu/production")
        found = listing(store)
        assert [(row.entry.identity, row.aliases) for row in found.rows] == [(entry.identity, ())]
        assert found.damaged == []
        assert contents(pull(store, entry, tmp_path / "out")) == contents(artifact.folder)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("AWS_ACCESS_KEY_ID", "the access key is unknown"),
        ("AWS_SECRET_ACCESS_KEY", "the secret key is wrong"),
    ],
)
def test_wrong_credentials_are_said_in_a_line(
    url: str, place: str, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    with open_store(f"{place}/in", url) as images:
        put_images(images, 1)
    monkeypatch.setenv(name, "very-wrong")
    with pytest.raises(StoreError, match=said) as raised:
        run(f"{place}/in", f"{place}/out", url)
    assert "very-wrong" not in str(raised.value)
