"""Nobody has published weights of the third family."""

from __future__ import annotations

from depth.weights.registry import PublishedFile

FILES: tuple[PublishedFile, ...] = ()

UNPUBLISHED: dict[str, str] = {}
