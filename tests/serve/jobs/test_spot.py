"""Spot notices: answers of the metadata service, its address, and jobs that a notice stops."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from serve.doctor.facts import Metadata
from serve.doctor.findings import OK, WARNING
from serve.doctor.gather import gather
from serve.doctor.host_rules import host_findings
from serve.jobs import spot
from serve.jobs.spot import Service, endpoint, spot_notices
from serve.jobs.stop import Stop
from tests.support.metadata_server import REASON, TERMINATE, MetadataServer, metadata_server
from tests.support.processes import until

V4, V6 = "http://169.254.169.254", "http://[fd00:ec2::254]"
NAMED = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1"}


@pytest.fixture
def server() -> Iterator[MetadataServer]:
    with metadata_server() as found:
        yield found


@pytest.fixture
def watched(server: MetadataServer, monkeypatch: pytest.MonkeyPatch) -> MetadataServer:
    """The server that `spot_notices` asks, often."""
    monkeypatch.setattr(spot, "POLL_S", 0.01)
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.address)
    return server


def watchers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "spot notices"]


def test_nothing_is_announced_and_then_a_notice_is(server: MetadataServer) -> None:
    service = Service(f"{server.address}/")
    assert service.notice() == ""
    server.notice = TERMINATE
    assert service.notice() == REASON
    puts = [request for request in server.requests if request.startswith("PUT")]
    assert len(puts) == 1, "one token serves until it is too old"


@pytest.mark.parametrize(
    ("notice", "reason"),
    [
        ({"action": "stop", "time": "2026-01-02T23:59:59Z"}, "a spot notice (stop at 23:59:59Z)"),
        ({"action": "stop", "time": "soon\x1b[2J"}, "a spot notice (stop)"),
        ({"action": "terminate"}, "a spot notice (terminate)"),
        ({"action": "hibernate", "time": "2026-01-02T23:59:59Z"}, ""),
    ],
)
def test_what_a_notice_means(
    server: MetadataServer, notice: Mapping[str, str], reason: str
) -> None:
    server.notice = json.dumps(notice).encode()
    assert Service(server.address).notice() == reason


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"\xff\xfe", b"[" * 9999, b"null", b'"stop"', b"{}", b'{"action": ["stop"]}'],
    ids=lambda body: repr(body[:9]),
)
def test_a_body_that_is_no_notice_is_none(server: MetadataServer, body: bytes) -> None:
    server.notice = body
    with pytest.raises(ValueError, match="was answered with b"):
        Service(server.address).notice()


def test_a_token_that_is_too_old_is_replaced_once(server: MetadataServer) -> None:
    service = Service(server.address)
    service.notice()
    server.expire()
    server.notice = TERMINATE
    assert service.notice() == REASON
    server.tokens_live = False
    server.expire()
    before = len(server.requests)
    with pytest.raises(ValueError, match="answered with 401"):
        service.notice()
    assert [request[:3] for request in server.requests[before:]] == ["GET", "PUT", "GET"]


def test_a_notice_stops_and_the_watch_ends_with_the_job(
    watched: MetadataServer, capfd: pytest.CaptureFixture[str]
) -> None:
    stop = Stop()
    with spot_notices(stop):
        assert until(lambda: len(watched.requests) > 3)
        assert not stop.requested()
        watched.notice = TERMINATE
        assert until(stop.requested)
    assert stop.reason == REASON
    assert until(lambda: not watchers())
    assert capfd.readouterr().err == f"{REASON}: finishing what is under way\n"


def broken(server: MetadataServer, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "refused":
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")
    elif how == "no address":
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "nowhere")
    elif how == "timed out":
        server.hangs = True
        monkeypatch.setattr(spot, "_TIMEOUT_S", 0.02)
    elif how == "redirected":
        server.redirect = f"{server.address}/elsewhere"
    elif how == "garbage":
        server.notice = b"<html>\nstop"
    else:
        server.put_status = 403


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("refused", "http://127.0.0.1:1: [Errno 111]"),
        ("no address", "nowhere: an address that begins with http://"),
        ("timed out", "timed out. The job goes on without them. In a container the instance's"),
        ("redirected", "answered with 302"),
        ("garbage", r"was answered with b'<html>\nstop'"),
        ("forbidden", "PUT /latest/api/token was answered with 403"),
    ],
)
def test_a_service_that_fails_gets_one_line_and_the_job_goes_on(
    watched: MetadataServer, monkeypatch: pytest.MonkeyPatch, how: str, words: str
) -> None:
    said, stop = list[str](), Stop()
    broken(watched, how, monkeypatch)
    monkeypatch.setattr(spot, "say", said.append)
    with spot_notices(stop):
        assert until(lambda: said)
        time.sleep(0.1)  # more failures, which are not news
    assert (stop.requested(), len(said)) == (False, 1)
    assert said[0].startswith("no spot notices: ")
    assert words in said[0]
    assert not [request for request in watched.requests if "elsewhere" in request]


def test_a_service_that_comes_back_is_heard(
    watched: MetadataServer, capfd: pytest.CaptureFixture[str]
) -> None:
    watched.put_status, stop = 503, Stop()
    with spot_notices(stop):
        assert until(lambda: len(watched.requests) > 5)  # the third failure has been told
        watched.put_status, watched.notice = 200, TERMINATE
        assert until(stop.requested)
    assert until(lambda: not watchers())
    assert len(capfd.readouterr().err.splitlines()) == 2


def test_a_signal_that_answers_the_line_is_not_the_reason(
    watched: MetadataServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.notice, stop = TERMINATE, Stop()
    monkeypatch.setattr(spot, "say", lambda _line: stop.request("SIGTERM"))
    with spot_notices(stop):
        assert until(stop.requested)
    assert until(lambda: not watchers())
    assert stop.reason == REASON


class Hiccups(Service):
    """Fails two times of three, as a service that is asked by everybody may."""

    def __init__(self) -> None:
        super().__init__("")
        self.asked = 0

    def notice(self) -> str:
        self.asked += 1
        if self.asked % 3:
            raise OSError("busy")
        return REASON if self.asked > 10 else ""


def test_two_failures_in_a_row_are_not_logged(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spot, "POLL_S", 0.0)
    service = Hiccups()
    assert spot._wait(service, threading.Event()) == REASON
    assert (service.asked, capfd.readouterr().err) == (12, "")


def test_nothing_waits_for_a_service_that_hangs(
    watched: MetadataServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.hangs = True
    monkeypatch.setattr(spot, "_TIMEOUT_S", 1.0)
    started = time.monotonic()
    with spot_notices(Stop()):
        assert until(lambda: watched.requests)
    assert time.monotonic() - started < 0.9


def machine(root: Path, **files: str) -> Path:
    folder = root / "sys/devices/virtual/dmi/id"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(f"{text}\n")
    return root


@pytest.mark.parametrize(
    ("files", "environment", "expected"),
    [
        ({}, {}, None),
        ({"sys_vendor": "LENOVO", "bios_version": "1.2"}, {}, None),
        ({"sys_vendor": "Amazon EC2"}, {}, V4),
        ({"sys_vendor": "Xen", "bios_version": "4.11.amazon"}, {}, V4),
        ({"sys_vendor": "Amazon EC2"}, {"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "IPv6"}, V6),
        ({"sys_vendor": "LENOVO"}, {"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "IPv6"}, None),
        ({"sys_vendor": "Amazon EC2"}, {"AWS_EC2_METADATA_DISABLED": "True"}, None),
        ({"sys_vendor": "Amazon EC2"}, {"AWS_EC2_METADATA_DISABLED": "false"}, V4),
        ({}, NAMED, "http://127.0.0.1:1"),
        ({}, {**NAMED, "AWS_EC2_METADATA_DISABLED": "true"}, None),
    ],
)
def test_the_address_of_the_service(
    tmp_path: Path, files: dict[str, str], environment: dict[str, str], expected: str
) -> None:
    assert endpoint(environment, machine(tmp_path, **files)) == expected


def test_a_machine_that_says_nothing_is_no_instance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spot, "ROOT", tmp_path)
    monkeypatch.delenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", raising=False)
    with spot_notices(Stop()):
        assert not watchers()


def test_the_doctor_says_whether_a_notice_would_be_seen(
    watched: MetadataServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def levels() -> list[str]:
        return [one.level for one in host_findings(gather(tmp_path)) if one.topic == "spot"]

    assert levels() == [OK]
    watched.put_status = 403
    assert levels() == [WARNING]
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert levels() == []
    assert gather(tmp_path).metadata == Metadata()
