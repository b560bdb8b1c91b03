"""An S3 server in a process of its own on a loopback port, one per test run.

It keeps no checksums of single puts and refuses none that are wrong; otherwise it does what the
tests need: parts, ranges, conditions, and credentials when asked.
"""

from __future__ import annotations

import atexit
import functools
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from subprocess import PIPE

import botocore.loaders
import botocore.session
import pytest
from boto3.session import Session

from depth.store.s3 import S3Store
from tests.support.places import ROOT

_numbers = count()
_LOADER = botocore.loaders.create_loader()


@dataclass(frozen=True)
class S3Server:
    url: str

    @contextmanager
    def asking_for_credentials(self) -> Iterator[None]:
        """From here on a request must be signed by somebody who exists and may do it."""
        self._free_requests("0")
        try:
            yield
        finally:
            self._free_requests("inf")

    def _free_requests(self, number: str) -> None:
        plain = {"Content-Type": "text/plain"}  # a form would be taken apart
        url = f"{self.url}/moto-api/reset-auth"
        with urllib.request.urlopen(urllib.request.Request(url, number.encode(), plain)) as answer:
            assert answer.status == 200


@functools.cache
def running() -> S3Server:
    """Start the server on first use; it is stopped when the test run ends."""
    command = [sys.executable, "-m", "tests.support.moto_server", "-H", "127.0.0.1", "-p", "0"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=PIPE, stderr=PIPE, text=True)
    atexit.register(_stop, process)
    assert process.stderr is not None
    for line in process.stderr:
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        if found:
            # Its log must go somewhere, or the pipe fills up and the server stops.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return S3Server(found[0])
    raise RuntimeError(f"the S3 server ended with code {process.wait()}")


@functools.cache
def bucket() -> str:
    """The name of the server's only bucket."""
    store = S3Store("artifacts", "", running().url)
    store.client.create_bucket(Bucket="artifacts")
    store.close()
    return "artifacts"


def location() -> str:
    """A prefix that nobody used yet."""
    return f"s3://{bucket()}/test/{next(_numbers)}"


def _stop(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def session() -> Session:
    """A new session. Sessions share the parsed description of S3, which takes 0.2 s to read."""
    core = botocore.session.Session()
    core.register_component("data_loader", _LOADER)
    return Session(botocore_session=core)


def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS settings that reach nothing but loopback, and nothing of whoever runs the tests."""
    monkeypatch.setattr("depth.store.s3.Session", session)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "3",  # the stand-in answers 500 now and then when many write at once
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
