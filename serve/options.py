"""Options that the folder job has on both its command lines, inference.py and `serve folder`.

As default values: on Python 3.9 typer does not see `Annotated` in a module whose annotations are
text.
"""

from __future__ import annotations

import typer

PREPROCESS: str = typer.Option(
    "reference",
    help="reference: upstream's numbers. fast: less work per image, for large photographs at a "
    "reduced JPEG size; its error is in docs/host-path.md.",
)
OUTPUT_SIZE: str = typer.Option(
    "full",
    help="full: a depth value for every pixel of the image. model: the network's own size; the "
    "JSON says how positions correspond.",
)
RETRY_FAILED: bool = typer.Option(
    True,
    "--retry-failed/--keep-failed",
    help="Whether to try images again that failed before with the same bytes and settings.",
)
FAIL_FAST: bool = typer.Option(False, "--fail-fast", help="Stop at the first failure.")
DRY_RUN: bool = typer.Option(
    False, "--dry-run", help="Only print what would be done, and why; make nothing."
)
