"""Which of the offered media types a client's ``Accept`` header wants (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def choose(accept: str | None, offers: Sequence[str]) -> str | None:
    """Pick the best offer, as WebOb's ``acceptable_offers`` does for PyPI.

    Args:
        accept: the header's value; None or empty accepts everything.
        offers: media types without parameters, the server's favourite first.

    Returns:
        the offer with the highest quality (the earlier one of equals), or None if none is acceptable.

    """
    if not accept or not accept.strip():
        return offers[0]
    ranges = [_media_range(part) for part in accept.split(",") if part.strip()]
    best, best_quality = None, 0.0
    for offer in offers:
        quality = _quality(offer, ranges)
        if quality > best_quality:
            best, best_quality = offer, quality
    return best


def _media_range(text: str) -> tuple[str, float]:
    """Split ``type/subtype;q=0.5`` into the type and its quality; an unreadable quality counts as 0."""
    media_type, *parameters = (part.strip() for part in text.split(";"))
    quality = 1.0
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "q":
            try:
                quality = float(value)
            except ValueError:
                quality = 0.0
    return media_type.lower(), quality


def _quality(offer: str, ranges: Sequence[tuple[str, float]]) -> float:
    """Tell the quality that the most specific matching range gives to an offer."""
    family = offer.split("/", 1)[0] + "/*"
    for pattern in (offer, family, "*/*"):
        matching = [quality for media_range, quality in ranges if media_range == pattern]
        if matching:
            return max(matching)
    return 0.0
