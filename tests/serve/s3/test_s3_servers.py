"""The S3 job against servers that refuse it, ignore conditions or fail, and between two writers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Thread

import pytest
from typer.testing import CliRunner

from depth.errors import InputError, StoreError
from depth.store.objects import open_store
from serve.cli import app
from serve.jobs.entry import DONE, FAILED, KEPT
from serve.jobs.objects import publish as publishing
from serve.jobs.objects.probe import require_conditional_puts
from serve.jobs.stop import Stop
from tests.serve.s3.conftest import Pair
from tests.support import s3_server
from tests.support.folder_jobs import make_engine
from tests.support.metadata_server import (
    REASON,
    TERMINATE,
    MetadataServer,
    metadata_server,
    start_watched,
)
from tests.support.object_jobs import Ran, left, put_images, run
from tests.support.object_kills import Toll, torment
from tests.support.odd_servers import ignoring_conditions
from tests.support.processes import wait_for

pytestmark = pytest.mark.long  # processes and whole builds

on_s3 = pytest.mark.parametrize("pair", ["s3"], indirect=True)


@on_s3
def test_a_server_that_ignores_conditions_is_recognised_before_any_work(pair: Pair) -> None:
    put_images(pair.images, 1)
    with (
        ignoring_conditions(str(pair.url)) as url,
        pytest.raises(StoreError, match=r"/out: ignores the condition .*could overwrite"),
    ):
        run(pair.source, pair.target, url)
    assert list(pair.results.listed("")) == [], "the probe is gone too"


class _Refusing:
    name = "s3://bucket/out"

    def write_if(self, *_: object) -> bool:
        return False

    def remove(self, *_: object) -> None:
        raise StoreError("DeleteObject was denied")


def test_a_server_that_refuses_every_conditional_put_is_recognised(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(StoreError, match="refuses to create an object that is not there"):
        require_conditional_puts(_Refusing())  # type: ignore[arg-type]
    assert "cannot be removed, and may stay: DeleteObject was denied" in caplog.text


@on_s3
def test_wrong_credentials_are_said_in_a_line(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    put_images(pair.images, 1)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    with (
        s3_server.running().asking_for_credentials(),
        pytest.raises(StoreError, match="the access key is unknown; check AWS_PROFILE") as raised,
    ):
        run(pair.source, pair.target, pair.url)
    assert "very-secret" not in str(raised.value)


@on_s3
def test_a_wrong_secret_of_a_known_user_is_said(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_images(pair.images, 1)
    iam = s3_server.session().client("iam", endpoint_url=pair.url)
    key = iam.create_access_key(UserName=iam.create_user(UserName="u")["User"]["UserName"])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKey"]["AccessKeyId"])
    with (
        s3_server.running().asking_for_credentials(),
        pytest.raises(StoreError, match="the secret key is wrong; check AWS_SECRET_ACCESS_KEY"),
    ):
        run(pair.source, pair.target, pair.url)


@on_s3
def test_a_bucket_that_there_is_not_is_said(pair: Pair) -> None:
    put_images(pair.images, 1)
    for source, target in (("s3://none-such/in", pair.target), (pair.source, "s3://none-such/o")):
        with pytest.raises(StoreError, match="none-such.*: there is no such bucket"):
            run(source, target, pair.url)


def test_a_store_that_keeps_failing_ends_the_job(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_images(pair.images, 60)

    def fail(*_: object) -> None:
        raise StoreError("the credentials have expired; log in again")

    monkeypatch.setattr("serve.jobs.objects.work.publish", fail)
    ran = run(pair.source, pair.target)
    assert ran.report.stopped.startswith("8 failures of the store in a row: the credentials")
    assert (ran.report.exit_code, set(ran.fates.values())) == (3, {FAILED})
    assert len(ran.entries) < 60


def test_a_device_without_a_core_leaves_the_rest(pair: Pair) -> None:
    from serve.errors import RestartError

    put_images(pair.images, 30)
    engine = make_engine()

    def gone(*_: object, **__: object) -> None:
        raise RestartError("no core is left")

    engine.run = gone  # type: ignore[assignment,method-assign]
    ran = run(pair.source, pair.target, engine=engine)
    assert (ran.entries, ran.report.exit_code) == ({}, 75)


@pytest.mark.parametrize("pair", ["folder", "s3"], indirect=True)
def test_two_jobs_at_once_make_one_result_of_each_image(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have put their depth file before either puts its .json; their numbers differ."""
    keys, barrier = put_images(pair.images, 1), Barrier(2)
    commit = publishing._commit

    def late(*arguments: object) -> object:
        barrier.wait(30)
        return commit(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(publishing, "_commit", late)
    ran: list[Ran] = []
    engines = [make_engine(), make_engine()]
    other = engines[1].finish

    def finish(*arguments: object) -> object:
        result = other(*arguments)  # type: ignore[arg-type]
        result.depth.values[0, 0] += 1
        return result

    engines[1].finish = finish  # type: ignore[assignment,method-assign]
    threads = [
        Thread(target=lambda e=e: ran.append(run(pair.source, pair.target, pair.url, engine=e)))
        for e in engines
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each.fates[keys[0]] for each in ran) == [DONE, KEPT]
    there = left(pair.results)
    assert (len(there.images[keys[0]]), there.wrong, len(there.orphans)) == (1, [], 1)
    assert run(pair.source, pair.target, pair.url).fates == {keys[0]: KEPT}


@pytest.fixture
def notices() -> Iterator[MetadataServer]:
    with metadata_server() as server:
        yield server


@pytest.mark.parametrize("cause", ["SIGTERM", "notice"])
def test_a_signal_and_a_spot_notice_drain_the_job(
    pair: Pair, tmp_path: Path, cause: str, notices: MetadataServer
) -> None:
    put_images(pair.images, 200)
    words = ("tests.support.object_jobs", pair.source, pair.target, "0/1", 0.05)
    process = start_watched(tmp_path, notices.address, *words)
    wait_for(process, tmp_path / "stdout")
    reason = cause
    if cause == "SIGTERM":
        process.send_signal(signal.SIGTERM)
    else:
        notices.notice, reason = TERMINATE, REASON
    assert process.wait(60) == 3
    said = (tmp_path / "stderr").read_text()
    assert f"{reason}: finishing what is under way" in said
    assert f"left after {reason} in" in said
    there = left(pair.results)
    assert 0 < len(there.images) < 200
    assert (there.wrong, there.orphans) == ([], [])
    printed = (tmp_path / "stdout").read_text().splitlines()
    assert len(printed) == len(there.images)
    assert all(os.path.exists(line) for line in printed)  # noqa: PTH110


@pytest.mark.long
@pytest.mark.parametrize("pair", ["folder", "s3"], indirect=True)
def test_shards_that_are_killed_make_every_result_once(pair: Pair, tmp_path: Path) -> None:
    put_images(pair.images, 40)
    place = pair.source.rpartition("/")[0]
    toll = torment(place, pair.url, tmp_path, Toll(40, 2, 3, seconds_per_image=0.05))
    assert (toll.killed, toll.exit_codes) == (3, [0, 0])
    assert (toll.right, toll.several, toll.wrong, toll.changed) == (40, 0, 0, 0)
    assert toll.orphans == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("s3://a/in", "s3://a/out"), "no artifact: give --artifact FOLDER"),
        (("s3://a/in", "s3://a/out", "--store", "x"), "no artifact: give --artifact FOLDER"),
        (("in", "s3://a/out", "--artifact", "x"), "'in': expected s3://bucket/prefix"),
        (("s3://a/i", "s3://a/o", "--artifact", "x", "--shard", "4/4"), "expected i/n"),
    ],
)
def test_the_command_says_what_is_missing(words: tuple[str, ...], said: str) -> None:
    found = CliRunner().invoke(app, ["s3", *words])
    assert isinstance(found.exception, InputError)
    assert said in str(found.exception)


def test_a_stop_before_the_first_image_does_nothing(pair: Pair) -> None:
    put_images(pair.images, 3)
    stop = Stop()
    stop.request("SIGTERM")
    ran = run(pair.source, pair.target, stop=stop)
    assert (ran.report.exit_code, ran.entries) == (3, {})
    with open_store(pair.target) as store:
        assert left(store).images == {}
