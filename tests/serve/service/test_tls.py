"""TLS over HTTP and gRPC, and files that TLS cannot use."""

from __future__ import annotations

import ssl
import warnings
from pathlib import Path
from typing import Callable

import httpx
import pytest

from depth.errors import InputError
from serve.service.models import Models
from serve.service.server import run
from serve.service.service import Service
from serve.service.settings import Settings
from serve.service.tls import tls_pair
from serve.service.v2.door import GrpcDoor
from tests.support.certificates import self_signed
from tests.support.services import PNG, TOKEN, a_process
from tests.support.v2_services import model_of, pixels, serving

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tritonclient.grpc as over_grpc
    from tritonclient.utils import InferenceServerException

pytestmark = pytest.mark.filterwarnings("ignore")


def test_https(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path / "own")
    other, _ = self_signed(tmp_path / "other")
    settings = {"tls_certificate": certificate, "tls_key": key, "token": TOKEN}
    with a_process(tmp_path, **settings) as (_, url):
        assert url.startswith("https://")
        headers = {"Authorization": f"Bearer {TOKEN}"}
        trusted = ssl.create_default_context(cafile=str(certificate))
        with httpx.Client(verify=trusted, headers=headers, timeout=20, trust_env=False) as client:
            answer = client.post(f"{url}/v1/depth", content=PNG)
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "image/png"
        stranger = ssl.create_default_context(cafile=str(other))
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{url}/healthz", verify=stranger, trust_env=False)
        with pytest.raises(httpx.TransportError):
            httpx.get(url.replace("https", "http") + "/healthz", trust_env=False)


def test_grpc_over_tls(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path / "own")
    array = pixels()
    image = over_grpc.InferInput("image", list(array.shape), "UINT8")
    image.set_data_from_numpy(array)
    with serving(model_of(), tls_certificate=certificate, tls_key=key) as at:
        client = over_grpc.InferenceServerClient(
            at.grpc, ssl=True, root_certificates=str(certificate)
        )
        assert client.infer("depth", [image]).as_numpy("depth").shape == (1, 28, 42)
        with pytest.raises(InferenceServerException):
            over_grpc.InferenceServerClient(at.grpc).get_server_metadata(client_timeout=5)


def missing(folder: Path) -> tuple[Path, Path]:
    certificate, key = self_signed(folder)
    key.unlink()
    return certificate, key


def swapped(folder: Path) -> tuple[Path, Path]:
    return self_signed(folder)[::-1]


def of_another(folder: Path) -> tuple[Path, Path]:
    return self_signed(folder)[0], self_signed(folder.with_name("another"))[1]


def with_a_password(folder: Path) -> tuple[Path, Path]:
    return self_signed(folder, b"secret")


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (missing, r"key\.pem: cannot be read"),
        (swapped, "TLS cannot use these"),
        (of_another, r"KEY_VALUES_MISMATCH.*its own key"),
        (with_a_password, "without a password"),
    ],
)
def test_files_that_tls_cannot_use_are_refused(
    tmp_path: Path, made: Callable[[Path], tuple[Path, Path]], said: str
) -> None:
    certificate, key = made(tmp_path / "own")
    settings = Settings(port=0, grpc_port=0, tls_certificate=certificate, tls_key=key)
    service = Service(Models(), settings)
    with pytest.raises(InputError, match=said):
        GrpcDoor(service)
    with pytest.raises(InputError, match=said):
        run(service, [], lambda _: None)


def test_no_files_no_tls() -> None:
    assert tls_pair(Settings()) is None
