"""push, pull, list and promote as users type them: outputs, exit codes, one line for an error."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
import typer
from boto3.session import Session

from compile.errors import CompileError
from depth.artifact.manifest import Artifact, read_artifact
from depth.command import guarded
from depth.store import cli as store_cli
from depth.store.s3 import S3Store
from serve.cli import app as serve_app
from tests.support import s3_server
from tests.support.commands import Ended, ended
from tests.support.stored_artifacts import contents, make, verify

APP = typer.Typer(pretty_exceptions_enable=False)
for _command in (store_cli.push, store_cli.pull, store_cli.list_, store_cli.promote):
    APP.command(_command.__name__.rstrip("_"))(_command)


def command(*arguments: object) -> Ended:
    return ended(lambda: guarded(APP, "store", CompileError), "store", *arguments)


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    s3_server.settings(monkeypatch)


@pytest.fixture(params=["s3", "folder"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """The options that name an empty store."""
    if request.param == "s3":
        return s3_options()
    (tmp_path / "store").mkdir()
    return ["--store", str(tmp_path / "store")]


def s3_options() -> list[str]:
    return ["--store", s3_server.location(), "--endpoint-url", s3_server.running().url]


@pytest.fixture
def on_s3() -> list[str]:
    return s3_options()


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    return make(tmp_path / "made")


def test_push_promote_list_pull(where: list[str], artifact: Artifact, tmp_path: Path) -> None:
    other = make(tmp_path / "made", passed=None, target="inf1")
    ended = command("push", artifact.folder, other.folder, *where)
    assert (ended.code, ended.out) == (0, f"{artifact.identity}\n{other.identity}\n")
    assert ended.err.splitlines() == [
        f"{artifact.folder.name}: up to 0.0 MB",
        f"{artifact.folder.name}: sent 0.0 MB, 0.0 MB were there already",
        f"{other.folder.name}: up to 0.0 MB",
        f"{other.folder.name}: no new programs to send, 0.0 MB were there already",
    ]
    name = "vits/cpu/production"
    ended = command("promote", artifact.identity[:12], name, *where)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"{name} {artifact.identity} before: nothing\n"
    ended = command("list", *where)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("name ")
    assert re.search(rf"{artifact.folder.name} +openvino +fp32 .* verified +{name} ", ended.out)
    assert re.search(rf"{other.folder.name} +inf1 +fp32 .* built +- ", ended.out)
    ended = command("pull", name, "--out", tmp_path / "out", *where)
    assert ended.code == 0
    assert ended.err == f"{artifact.folder.name}: up to 0.0 MB\n"
    folder = Path(ended.out.rstrip("\n"))
    assert folder.parent == tmp_path / "out"
    assert contents(folder) == contents(artifact.folder)
    assert read_artifact(folder).identity == artifact.identity


@pytest.mark.parametrize("where", ["folder"], indirect=True)
def test_push_compares_the_identity_with_the_given_one(where: list[str], tmp_path: Path) -> None:
    one, other = make(tmp_path), make(tmp_path, target="onnx")
    plain = one.folder.rename(tmp_path / "plain")
    refused = command("push", plain, "--identity", other.folder.name, *where)
    assert (refused.code, refused.out) == (1, "")
    assert "the given identity says" in refused.error()
    assert len(command("list", *where).out.splitlines()) == 1, "something was sent"
    assert command("push", plain, "--identity", one.identity[:12], *where).code == 0
    command("promote", one.identity, "vits/cpu/production", *where)
    given = ("--identity", "vits/cpu/production")
    assert command("push", plain, *given, *where).code == 0
    refused = command("push", other.folder, *given, *where)
    assert (refused.code, refused.out) == (1, "")
    assert f"the given identity says {one.identity[:12]}" in refused.error()
    refused = command("push", plain, other.folder, *given, *where)
    assert (refused.code, refused.out) == (2, "")


@pytest.mark.parametrize("where", ["folder"], indirect=True)
def test_promotion_that_is_refused_exits_with_1(where: list[str], tmp_path: Path) -> None:
    one, other = (make(tmp_path, {"programs/a": data}) for data in (b"1", b"2"))
    unproven = make(tmp_path, passed=None)
    command("push", one.folder, other.folder, unproven.folder, *where)
    command("promote", one.folder.name, "vits/cpu/production", *where)
    expect = ("--expect", other.identity[:12])
    ended = command("promote", other.identity, "vits/cpu/production", *expect, *where)
    assert ended.code == 1
    assert f"somebody moved the alias to {one.identity[:12]}" in ended.error()
    ended = command("promote", unproven.identity, "vits/cpu/production", *where)
    assert ended.code == 1
    assert "--allow-unverified" in ended.error()
    ended = command(
        "promote", unproven.identity, "vits/cpu/production", "--allow-unverified", *where
    )
    assert ended.out.endswith(f"before: {one.identity}\n")


@pytest.mark.parametrize("where", ["folder"], indirect=True)
def test_an_empty_store_lists_a_heading(where: list[str]) -> None:
    ended = command("list", *where)
    assert (ended.code, len(ended.out.splitlines())) == (0, 1)


@pytest.mark.parametrize("where", ["folder"], indirect=True)
def test_push_with_a_wrong_path_sends_nothing(
    where: list[str], artifact: Artifact, tmp_path: Path
) -> None:
    ended = command("push", artifact.folder, tmp_path / "nothing", *where)
    assert ended.code == 1
    assert "no readable manifest.json" in ended.error()
    assert len(command("list", *where).out.splitlines()) == 1


@pytest.mark.parametrize("where", ["folder"], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("promote", "abcdef", "production"), "alias 'production': expected names joined by /"),
        (("pull", "abc"), "'abc': expected an alias like vits/inf1/production, the name of an"),
    ],
)
def test_a_wrong_value_is_a_usage_error(
    where: list[str], arguments: tuple[str, ...], text: str
) -> None:
    ended = command(*arguments, *where)
    assert ended.code == 2
    assert text in ended.error()


def test_a_wrong_location_is_a_usage_error() -> None:
    for location, text in (("gs://x", "expected s3://"), ("s3://?", "is not a bucket's name")):
        ended = command("list", "--store", location)
        assert ended.code == 2
        assert text in ended.error()
    ended = command("list", "--store", "s3://bucket", "--endpoint-url", "nonsense")
    assert ended.code == 2
    assert "--endpoint-url: Invalid endpoint: nonsense" in ended.error()


def test_a_missing_bucket_is_reported(artifact: Artifact, on_s3: list[str]) -> None:
    nowhere = ["--store", "s3://no-such-bucket/prefix", *on_s3[2:]]
    for arguments in (["list"], ["push", artifact.folder], ["pull", "a/b"], ["pull", "abcdef"]):
        ended = command(*arguments, *nowhere)
        assert ended.code == 1
        assert "s3://no-such-bucket/prefix: there is no such bucket; create it" in ended.error()


def test_an_unreachable_server_is_reported() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        ended = command("list", "--store", "s3://bucket", "--endpoint-url", url)
    assert ended.code == 1
    assert re.search(r"cannot be reached \(.*\); check --endpoint-url, AWS_REGION", ended.error())


def test_missing_credentials_are_reported(
    on_s3: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    ended = command("list", *on_s3)
    assert ended.code == 1
    assert "no credentials (Unable to locate credentials); set AWS_PROFILE, or" in ended.error()
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert "no credentials (The config profile (nobody) could not be" in (
        command("list", *on_s3).error()
    )


@pytest.fixture
def policy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Somebody who may do what the test says; the server asks for credentials from now on."""
    server = s3_server.running()
    iam = Session().client("iam", endpoint_url=server.url)
    iam.create_user(UserName="somebody")

    def allow(action: str) -> None:
        statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName="somebody", PolicyName="only", PolicyDocument=document)

    allow("iam:*")
    key = iam.create_access_key(UserName="somebody")["AccessKey"]
    iam.close()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    iam = Session().client("iam", endpoint_url=server.url)
    with server.asking_for_credentials():
        yield allow
    iam.close()


def test_denied_actions_and_wrong_keys_are_reported(
    on_s3: list[str],
    policy: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pull = ("pull", "vits/inf1/production", *on_s3)
    ended = command(*pull)
    assert ended.code == 1
    assert "GetObject was denied; the role or user needs s3:ListBucket, s3:GetOb" in ended.error()
    policy("s3:GetObject")
    assert "there is no alias vits/inf1/production" in command(*pull).error()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    assert "the secret key is wrong" in command(*pull).error()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAUNKNOWN")
    assert "the access key is unknown" in command(*pull).error()


def test_the_endpoint_may_come_from_the_environment(
    on_s3: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", on_s3[-1])
    assert command("list", *on_s3[:2]).code == 0


def test_an_unknown_s3_error_is_printed_in_one_line(
    on_s3: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: S3Store, *_: Any) -> None:
        with self._translated():
            response = {"Error": {"Code": "SlowDown", "Message": "Reduce your rate.\nThanks."}}
            raise self.client.exceptions.ClientError(response, "GetObject")

    monkeypatch.setattr(S3Store, "read", fail)
    ended = command("pull", "a/b", *on_s3)
    assert ended.code == 1
    assert "(SlowDown) when calling the GetObject operation: Reduce your rate." in ended.error()


@pytest.mark.parametrize("where", ["folder"], indirect=True)
def test_a_measurement_is_added_by_pushing_again(where: list[str], tmp_path: Path) -> None:
    artifact = make(tmp_path, passed=None)
    command("push", artifact.folder, *where)
    verify(artifact)
    ended = command("push", artifact.folder, *where)
    assert ended.err.splitlines()[1].endswith("no new programs to send, 0.0 MB were there already")
    assert " verified " in command("list", *where).out


def test_serve_pull_by_alias(tmp_path: Path, artifact: Artifact) -> None:
    where = ("--store", tmp_path / "store")
    (tmp_path / "store").mkdir()
    assert command("push", artifact.folder, *where).code == 0
    assert command("promote", artifact.identity, "vits/cpu/production", *where).code == 0
    pulled = ended(serve_app, "serve", "pull", "vits/cpu/production", "--out", tmp_path, *where)
    assert pulled.code == 0
    assert read_artifact(Path(pulled.out.strip())).manifest_sha256 == artifact.manifest_sha256
