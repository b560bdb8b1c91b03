"""Upstream's own commands against a service. Imports nothing of ours but how to find upstream.

python -m tests.support.upstream_client CHECKOUT auto PATH --use-backend --backend-url URL …
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.upstream_da3 import stub_what_is_missing, use


def main() -> None:
    checkout = Path(sys.argv.pop(1))
    stub_what_is_missing()
    use(checkout)
    from depth_anything_3 import cli

    found = Path(cli.__file__ or "").resolve()
    if checkout.resolve() not in found.parents:
        raise ImportError(f"{found} is not of the checkout {checkout}")
    cli.app()


if __name__ == "__main__":
    main()
