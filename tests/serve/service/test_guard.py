"""Who may ask: tokens, hosts, pages of other sites, and settings that would let everybody in."""

from __future__ import annotations

from pathlib import Path

import pytest

from depth.errors import InputError
from serve.service.settings import Settings
from serve.service.token import token_of
from tests.support.services import PNG, TOKEN, a_service, client_of


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ({}, 401),
        ({"Authorization": f"Bearer {TOKEN}x"}, 401),
        ({"Authorization": f"Basic {TOKEN}"}, 401),
        ({"Authorization": f"Bearer {TOKEN}"}, 200),
        ({"Authorization": f"bearer {TOKEN}"}, 200),
    ],
)
def test_a_token_is_wanted(header: dict[str, str], status: int) -> None:
    with a_service(token=TOKEN) as service:
        client = client_of(service)
        answer = client.post("/v1/depth", content=PNG, headers=header)
        assert answer.status_code == status
        assert ("www-authenticate" in answer.headers) == (status == 401)
        for path in ("/healthz", "/readyz", "/openapi.json"):
            assert client.get(path).status_code == 200
        for path in ("/metrics", "/v1/models", "/page", "/healthz/"):
            assert client.get(path).status_code == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:8000", 200),
        ("a.localhost", 200),
        ("127.0.0.1:80", 200),
        ("[::1]:80", 200),
        ("depth.lan", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
        ("a b", 421),
    ],
)
def test_other_host_names_are_refused(host: str, status: int) -> None:
    with a_service(allow_hosts=("depth.lan",)) as service:
        answer = client_of(service).get("/healthz", headers={"Host": host})
        assert answer.status_code == status


def test_any_host_name_is_right_behind_a_token() -> None:
    with a_service(token=TOKEN) as service:
        assert client_of(service).get("/healthz", headers={"Host": "a.b"}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://localhost"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_a_page_of_another_site_cannot_post(headers: dict[str, str], status: int) -> None:
    with a_service() as service:
        answer = client_of(service).post("/v1/depth", content=PNG, headers=headers)
        assert answer.status_code == status
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"token": ""}, "characters"),
        ({"token": "short"}, "characters"),
        ({"token": "a token that has ü in it"}, "ASCII"),
        ({"host": "0.0.0.0"}, "--no-token"),  # noqa: S104
        ({"tls_key": Path("key.pem")}, "both"),
        ({"queue": -1}, "queue"),
        ({"port": 70_000}, "port"),
        ({"drain_s": 0.0}, "drain_s"),
        ({"max_connections": 0}, "max_connections"),
    ],
)
def test_settings_that_no_service_should_have(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Settings(**wrong)  # type: ignore[arg-type]


def test_a_network_may_do_without_a_token_if_the_operator_says_so() -> None:
    assert not Settings(host="0.0.0.0", no_token=True).on_loopback  # noqa: S104


def test_a_token_comes_from_a_file_or_the_environment_but_not_both(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert token_of(file, {}) == TOKEN
    assert token_of(None, {"DEPTH_TOKEN": TOKEN}) == TOKEN
    assert token_of(None, {}) is None
    with pytest.raises(InputError, match="use one"):
        token_of(file, {"DEPTH_TOKEN": TOKEN})
    with pytest.raises(InputError, match="cannot be read"):
        token_of(tmp_path, {})
