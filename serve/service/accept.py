"""Which form of an answer a caller prefers: its Accept header (RFC 9110, 12.5.1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from serve.service.failures import RequestError

_SHOWN = 200  # characters of a header in a message


class _Range(NamedTuple):
    """A media range of a header: `image/png`, `image/*` or `*/*`."""

    media_range: str
    quality: float

    def precision(self, media_type: str) -> int:
        """How exactly it names a media type, 1 to 3; 0 if it does not."""
        kind, _, rest = self.media_range.partition("/")
        if self.media_range == media_type:
            return 3
        if rest == "*" and media_type.startswith(f"{kind}/"):
            return 2
        return int(self.media_range == "*/*")


def chosen(accept: str, media_types: Mapping[str, str]) -> str:
    """The form that an `Accept` header prefers.

    media_types  of the forms by name; of forms that are equally welcome the first is chosen

    A range that names a media type more exactly decides its quality. Of equal qualities, the more
    exactly named form wins. Raises RequestError (406) if the header takes none.
    """
    if not accept.strip():
        return next(iter(media_types))
    ranges = list(_ranges(accept))
    best, found = (0.0, 0), ""
    for form, media_type in media_types.items():
        precision, quality = max(
            (each.precision(media_type), each.quality) for each in ranges or [_Range("", 0)]
        )
        if precision and quality > 0 and (quality, precision) > best:
            best, found = (quality, precision), form
    if not found:
        have = ", ".join(dict.fromkeys(media_types.values()))
        raise RequestError(406, f"Accept: {accept[:_SHOWN]!r} takes none of {have}")
    return found


def _ranges(accept: str) -> Iterator[_Range]:
    for part in accept.split(","):
        media_range, *parameters = (word.strip().lower() for word in part.split(";"))
        weights = [text[2:].strip() for text in parameters if text.startswith("q=")]
        if media_range:
            yield _Range(media_range, _weight(weights[0]) if weights else 1.0)


def _weight(text: str) -> float:
    """0 for what is no weight between 0 and 1."""
    try:
        found = float(text)
    except ValueError:
        return 0.0
    return found if 0 <= found <= 1 else 0.0
