"""Accept: the form that a caller prefers (RFC 9110, 12.5.1)."""

from __future__ import annotations

import pytest

from serve.service.accept import chosen
from serve.service.answers import MEDIA_TYPES
from serve.service.failures import RequestError


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "png"),
        ("*/*", "png"),
        ("image/*", "png"),
        ("application/*", "npy"),
        ("*/*, application/json", "json"),
        ("application/json;q=0.5, */*;q=0.4", "json"),
        ("application/json;q=0.5, */*", "png"),
        ("image/png;q=0, image/*", "exr"),
        ("IMAGE/JPEG", "preview"),
        ("application/x-npz;q=0.9, application/x-npy;q=0.8", "npz"),
        ("text/html, image/avif, */*;q=0.8", "png"),
        ("application/json;charset=utf-8", "json"),
        ("image/tiff;q=nonsense, application/x-npy;q=0.1", "npy"),
    ],
)
def test_the_most_welcome_form_is_chosen(accept: str, form: str) -> None:
    assert chosen(accept, MEDIA_TYPES) == form


@pytest.mark.parametrize("accept", ["text/html", "*/*;q=0", "image/png;q=2", ",", "x"])
def test_a_header_that_takes_nothing_gets_406(accept: str) -> None:
    with pytest.raises(RequestError, match="takes none of image/png") as refused:
        chosen(accept, MEDIA_TYPES)
    assert refused.value.status == 406
