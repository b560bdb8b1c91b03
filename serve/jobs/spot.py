"""EC2's notice that it takes a spot instance back: the notice stops a job as SIGTERM does.

EC2 gives the notice two minutes ahead, on a best effort basis, in the instance metadata service
only. This module ignores the rebalance recommendation, a weaker hint.

Sources: Amazon EC2 User Guide (Spot Instance interruption notices; use of the Instance Metadata
Service, version 2; detecting an EC2 instance), AWS SDKs and Tools Reference Guide (IMDS).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Optional
from urllib.parse import urlsplit

from serve.jobs.stop import Stop, say

ROOT = Path("/")
# The maker that a machine's firmware names: on Nitro and metal instances, on older Xen instances.
_MAKERS = {"sys_vendor": "Amazon EC2", "bios_version": "amazon"}
_ADDRESSES = {"ipv4": "http://169.254.169.254", "ipv6": "http://[fd00:ec2::254]"}

_TOKEN_PATH, _NOTICE_PATH = "/latest/api/token", "/latest/meta-data/spot/instance-action"
_TOKEN_TTL = {"X-aws-ec2-metadata-token-ttl-seconds": "21600"}  # the longest that there is
_RECLAIMED, _HIBERNATE = ("terminate", "stop"), "hibernate"
_LONGEST_BYTES = 500  # of an answer; tokens and notices have 60

POLL_S = 5.0  # what EC2's documentation recommends
_TIMEOUT_S = 2.0
_PATIENCE = 3  # failures in a row before there is a line about them
_TROUBLE = (OSError, ValueError)  # errors that a wrong address can cause


@contextmanager
def spot_notices(stop: Stop) -> Iterator[None]:
    """Inside, a spot notice requests the stop. Does nothing outside EC2.

    Never raises, and never waits for the service.
    """
    address, over = endpoint(os.environ, ROOT), Event()
    if address:
        arguments = (Service(address), stop, over)
        Thread(target=_watch, args=arguments, name="spot notices", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def endpoint(environment: Mapping[str, str], root: Path) -> Optional[str]:
    """Address of the metadata service, by the variables of AWS's SDKs; None outside EC2."""
    if environment.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return None
    given = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT")
    if given or not _is_ec2(root):
        return given or None
    mode = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "").lower()
    return _ADDRESSES.get(mode, _ADDRESSES["ipv4"])


def trouble(address: str) -> str:
    """Why a notice would go unseen, or ""."""
    try:
        Service(address).notice()
    except _TROUBLE as error:
        return _in_one_line(error)
    return ""


def _is_ec2(root: Path) -> bool:
    folder = root / "sys/devices/virtual/dmi/id"
    return any(maker in _text(folder / name) for name, maker in _MAKERS.items())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


class Service:
    """The instance metadata service, version 2."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._token = ""

    def notice(self) -> str:
        """Why to stop, or "". Raises one of `_TROUBLE`."""
        status, body = self._get()
        if status == 401:  # the token is too old
            self._token = ""
            status, body = self._get()
        if status == 404:
            return ""
        if status != 200:
            raise ValueError(f"GET {_NOTICE_PATH} was answered with {status}")
        return _reason(body)

    def _get(self) -> tuple[int, bytes]:
        if not self._token:
            status, body = self._ask("PUT", _TOKEN_PATH, _TOKEN_TTL)
            if status != 200:
                raise ValueError(f"PUT {_TOKEN_PATH} was answered with {status}")
            self._token = body.decode("ascii").strip()
        return self._ask("GET", _NOTICE_PATH, {"X-aws-ec2-metadata-token": self._token})

    def _ask(self, method: str, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body. Not urllib: it would use proxies and follow to other addresses."""
        from http.client import HTTPConnection, HTTPException  # on EC2 only

        url = urlsplit(self.address)
        if url.scheme != "http" or not url.hostname:
            raise ValueError("an address that begins with http:// was expected")
        connection = HTTPConnection(url.hostname, url.port or 80, timeout=_TIMEOUT_S)
        try:
            with closing(connection):
                connection.request(method, url.path.rstrip("/") + path, headers=dict(headers))
                response = connection.getresponse()
                return response.status, response.read(_LONGEST_BYTES)
        except HTTPException as error:
            raise ValueError(_in_one_line(error)) from error


def _reason(body: bytes) -> str:
    with suppress(ValueError):
        notice = json.loads(body)
        action = notice.get("action") if isinstance(notice, dict) else None
        if action == _HIBERNATE:  # the job sleeps and wakes with its memory: nothing is lost
            return ""
        if action in _RECLAIMED:
            time = re.fullmatch(r"[\d-]+T(\d\d:\d\d:\d\d)Z", str(notice.get("time")))
            return f"a spot notice ({action}{f' at {time[1]}Z' if time else ''})"
    raise ValueError(f"GET {_NOTICE_PATH} was answered with {body[:60]!r}")


def _watch(service: Service, stop: Stop, over: Event) -> None:
    reason = _wait(service, over)
    if reason and not over.is_set():
        stop.request(reason)  # before the line: a signal that follows it is not the first reason
        say(f"{reason}: finishing what is under way")


def _wait(service: Service, over: Event) -> str:
    """Wait for a notice; "" if the job ends before. Logs once if the service cannot be reached."""
    failures, said = 0, False
    while True:
        try:
            reason, failures = service.notice(), 0
        except _TROUBLE as error:
            reason, failures = "", failures + 1
            if failures >= _PATIENCE and not said and not over.is_set():
                said = True
                say(_unreachable(service.address, error))
        if reason or over.wait(POLL_S):
            return reason


def _unreachable(address: str, error: Exception) -> str:
    return (
        f"no spot notices: {address}: {_in_one_line(error)}. The job goes on without them. In a "
        "container the instance's metadata hop limit has to be 2. AWS_EC2_METADATA_DISABLED=true "
        "turns the notices off"
    )


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or repr(error)
