"""A smoke test of a service through its load balancer, with the standard library only.

    python infra/pipeline/smoke.py https://depth.example --identity vits-inf1-bf16-0123456789ab

Waits until /readyz answers 200, sends a picture to /v1/depth, and looks at the answer: a 16-bit PNG
that is not flat, of the artifact that was promoted. DEPTH_TOKEN, if set, is sent. Exit code 1 and a
line if something is wrong.
"""

from __future__ import annotations

import argparse
import os
import struct
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

PICTURE = Path(__file__).resolve().parents[2] / "input_images" / "samples" / "room.jpg"
MIN_DIGITS = 12


class SmokeError(Exception):
    """The service does not answer as it must."""


def main() -> int:
    options = _options()
    url = options.url.rstrip("/")
    try:
        wait_until_ready(url, options.wait_s)
        said = check(url, options.image, options.identity)
    except SmokeError as error:
        sys.stderr.write(f"smoke: {error}\n")
        return 1
    sys.stdout.write(f"{said}\n")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url", help="address of the service, http:// or https://")
    parser.add_argument("--identity", help="identity or folder's name that must answer")
    parser.add_argument("--image", type=Path, default=PICTURE, help="picture to send")
    parser.add_argument("--wait-s", type=float, default=300, help="seconds to wait for readiness")
    options = parser.parse_args()
    if not options.url.startswith(("http://", "https://")):
        parser.error(f"{options.url!r} is no address: expected http:// or https://")
    return options


def _ask(url: str, body: bytes | None = None) -> tuple[bytes, dict[str, str]]:
    """The body and the headers, names in lower case, of an answer 200. Raises SmokeError."""
    token = os.environ.get("DEPTH_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        request = urllib.request.Request(url, data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read(), {name.lower(): value for name, value in answer.headers.items()}
    except urllib.error.HTTPError as error:
        raise SmokeError(
            f"{url}: {error.code} {error.read(300).decode(errors='replace')}"
        ) from error
    except OSError as error:
        raise SmokeError(f"{url}: {error}") from error


def wait_until_ready(url: str, wait_s: float) -> None:
    until = time.monotonic() + wait_s
    while True:
        try:
            _ask(f"{url}/readyz")
            return
        except SmokeError as error:
            if time.monotonic() > until:
                raise SmokeError(f"not ready after {wait_s:g} s: {error}") from error
            time.sleep(1)


def check(url: str, image: Path, identity: str | None) -> str:
    """Send a picture; what was seen, on one line. Raises SmokeError if the answer is wrong."""
    body, headers = _ask(f"{url}/v1/depth", image.read_bytes())
    if body[:8] != b"\x89PNG\r\n\x1a\n":
        raise SmokeError(f"{url}/v1/depth: the answer is no PNG but {headers.get('content-type')}")
    width, height, bits = struct.unpack(">IIB", body[16:25])
    if bits != 16:
        raise SmokeError(f"{url}/v1/depth: a PNG of {bits} bits; expected 16")
    if len(body) < width * height / 20:
        raise SmokeError(
            f"{url}/v1/depth: {len(body)} bytes for {width}x{height}: the depth is flat"
        )
    answered = headers.get("depth-artifact", "")
    if identity and not _same(identity, answered):
        raise SmokeError(f"artifact {answered or 'unnamed'} answers; {identity} was promoted")
    return f"{width}x{height} of {answered}"


def _same(identity: str, answered: str) -> bool:
    """Whether two names, identities or folders' names, mean the same artifact."""
    wanted, seen = (text.rpartition("-")[2].lower() for text in (identity, answered))
    digits = min(len(wanted), len(seen))
    return digits >= MIN_DIGITS and wanted[:digits] == seen[:digits]


if __name__ == "__main__":
    sys.exit(main())
