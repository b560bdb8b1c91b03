"""Runs the local server of S3 and IAM on a free loopback port: `python -m infra.dry_run.server`.

The server refuses unknown keys, and what a user's policies do not grant. It compares no signatures:
it gets those of a query with a slash in it wrong, and every listing of a store has one.
"""

from __future__ import annotations

from moto.iam.access_control import IAMRequestBase
from moto.server import main


def _take_any_signature(_: IAMRequestBase) -> None:
    pass


if __name__ == "__main__":
    IAMRequestBase.check_signature = _take_any_signature  # type: ignore[method-assign,assignment]
    main(["-H", "127.0.0.1", "-p", "0"])
