"""Odd credentials and servers that are no S3: one line each, without keys and signatures."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from botocore.exceptions import SSOTokenLoadError

from depth.errors import StoreError
from depth.store.s3 import S3Store
from tests.support.fresh_python import run_python

NOWHERE = "http://127.0.0.1:9"
SSO = """[profile sso]
sso_session = mine
sso_account_id = 111122223333
sso_role_name = reader
region = eu-west-1
[sso-session mine]
sso_region = eu-west-1
sso_start_url = https://example.invalid/start
"""


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)


def listing_fails(home: Path, **settings: str) -> str:
    """The only line on stderr of `compile list` with these settings of AWS."""
    done = run_python(
        *("-m", "compile", "list", "--store", "s3://bucket/p"),
        HOME=str(home),
        AWS_EC2_METADATA_DISABLED="true",
        **settings,
    )
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("python -m compile: s3://bucket/p: ")
    return str(line)


def test_a_token_s_file_that_is_missing_is_named(tmp_path: Path) -> None:
    file = tmp_path / "none"
    line = listing_fails(
        tmp_path,
        AWS_ROLE_ARN="arn:aws:iam::111122223333:role/x",
        AWS_WEB_IDENTITY_TOKEN_FILE=str(file),
        AWS_REGION="eu-west-1",
    )
    assert f"{file}: No such file or directory; the AWS settings name this file" in line


def test_white_space_in_a_key_is_named_without_the_signature(tmp_path: Path) -> None:
    line = listing_fails(
        tmp_path,
        AWS_ACCESS_KEY_ID="AKIAODD\n",
        AWS_SECRET_ACCESS_KEY="b",
        AWS_ENDPOINT_URL=NOWHERE,
    )
    assert "the access key or the session token holds a line feed" in line
    assert "AKIAODD" not in line
    assert "Signature" not in line


def test_without_a_login_the_line_says_how_to_log_in(tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text(SSO)
    assert "log in again: aws sso login" in listing_fails(tmp_path, AWS_PROFILE="sso")


def test_a_server_s_password_is_not_shown(tmp_path: Path) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_MAX_ATTEMPTS": "1"}
    line = listing_fails(tmp_path, AWS_ENDPOINT_URL="http://me:secret@127.0.0.1:9", **keys)
    assert "cannot be reached" in line
    assert "secret" not in line


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("accessKey"), "'accessKey'"),
        (ValueError("bad b'AWS4-HMAC-SHA256 Credential=AK, Signature=12'"), "bad b'..."),
        (OSError("https://h/x?a=1&X-Amz-Signature=12"), "..."),
        (SSOTokenLoadError(error_msg="none"), "aws sso login"),
    ],
)
def test_errors_of_every_kind_become_ours(error: Exception, said: str) -> None:
    store = S3Store("bucket", "", NOWHERE)
    with pytest.raises(StoreError) as caught, store._translated():
        raise error
    store.close()
    assert str(caught.value).startswith("s3://bucket: ")
    assert said in str(caught.value)
    assert "=12" not in str(caught.value)


class Page(BaseHTTPRequestHandler):
    """A web server that answers everything with a page."""

    def do_GET(self) -> None:  # noqa: N802
        body = b"<html><head><title>Welcome</title></head><body>Log in</body></html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def page() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_web_page_is_no_empty_store(page: str, tmp_path: Path) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_MAX_ATTEMPTS": "1"}
    line = listing_fails(tmp_path, AWS_ENDPOINT_URL=page, AWS_REGION="eu-west-1", **keys)
    assert "the answer is not a listing of S3, perhaps a web page; correct --endpoint-url" in line
