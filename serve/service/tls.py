"""The files of TLS: a certificate and its key, checked before anything listens."""

from __future__ import annotations

import ssl
from typing import Optional

from depth.errors import InputError
from depth.files import read_regular
from serve.service.settings import Settings

_MAX_BYTES = 1 << 20


def tls_pair(settings: Settings) -> Optional[tuple[bytes, bytes]]:
    """The certificate and its key as PEM; None if the settings name none.

    Raises InputError for files that cannot be read, or that TLS cannot use together.
    """
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None or key is None:
        return None
    try:
        pair = read_regular(certificate, _MAX_BYTES), read_regular(key, _MAX_BYTES)
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read: {error.strerror}") from error
    try:
        # Without a password of ours, OpenSSL would ask the terminal for one.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        raise InputError(
            f"{certificate} and {key}: TLS cannot use these ({error.reason or 'no PEM'}): give a "
            "PEM certificate, and its own key without a password"
        ) from error
    return pair
