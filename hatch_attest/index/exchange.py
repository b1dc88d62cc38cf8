"""Trusted Publishing: whether an index offers it, for which audience, and the exchange for an upload token."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from hatch_attest.errors import IndexFailure
from hatch_attest.trust import is_loopback

if TYPE_CHECKING:
    from hatch_attest.identity import Token
    from hatch_attest.index.endpoints import Endpoints
    from hatch_attest.index.transport import Answer, Transport

# Draft PEP 807: what a client accepts, and how long a token lives where the index does not say (seconds).
DISCOVERY_TYPE = "application/vnd.pypi.pytp.v1+json"
_ACCEPT = f"{DISCOVERY_TYPE}, application/json;q=0.9"
# As of January 2026, and before.
_MINT_KEYS = ("token-mint-endpoint", "mint-token-endpoint")
_DEFAULT_LIFETIME = 900
_LONGEST_LIFETIME = 6 * 3600
# Renewed this long before its end: an upload that starts must also end (seconds).
_RENEWAL = 120
_LONGEST_AUDIENCE = 256

_OK, _CLIENT_ERRORS, _SERVER_ERRORS = 200, 400, 500
_OWN_AUDIENCES = {"pypi": "pypi", "testpypi": "testpypi"}
# An index that asks for one of these wants a token that is good elsewhere: with it, it could sign, publish or log in
# there as this job. The first three are the design's; the others are the best known parties that take such tokens.
_FOREIGN_AUDIENCES = frozenset(
    {
        "sigstore",
        "pypi",
        "testpypi",
        "sts.amazonaws.com",
        "api://azureadtokenexchange",
        "crates.io",
        "npm:registry.npmjs.org",
        "rubygems.org",
    }
)
_FOREIGN_PREFIXES = ("//iam.googleapis.com/", "https://iam.googleapis.com/")


class Offer(NamedTuple):
    """An index's offer of Trusted Publishing: for whom identity tokens must be made, and where they are exchanged."""

    audience: str
    mint: str


@dataclass(frozen=True)
class UploadToken:
    """A short-lived upload token; it does not show itself. ``expires_at`` is in seconds since the epoch."""

    expires_at: float
    _raw: str = field(repr=False)

    def reveal(self) -> str:
        """Return the secret, to be sent to the upload URL and nowhere else."""
        return self._raw

    def is_old(self) -> bool:
        """Whether it is so near its end that an upload should not start with it."""
        return time.time() + _RENEWAL >= self.expires_at


def find_offer(transport: Transport, endpoints: Endpoints) -> Offer | None:
    """Learn whether and how the index offers Trusted Publishing: PyPI's own way, else discovery by draft PEP 807.

    Raises:
        IndexFailure: it cannot be reached, or its answer breaks a rule that keeps the identity token safe.

    """
    if endpoints.is_pypi:
        audience_url, mint = endpoints.audience, endpoints.mint
    else:
        answer = _discover(transport, endpoints)
        if answer is None:
            return None
        audience_url = _endpoint(answer, ("audience-endpoint",), endpoints)
        mint = _endpoint(answer, _MINT_KEYS, endpoints)
    answer = transport.get(audience_url, _ACCEPT)
    if answer.status != _OK:
        raise IndexFailure("exchange-no-audience", cause=_words(answer), host=endpoints.host)
    return Offer(_audience(answer, endpoints), mint)


def mint_token(transport: Transport, offer: Offer, token: Token) -> UploadToken:
    """Exchange an identity token for an upload token.

    Raises:
        IndexFailure: the index refused, with its own reasons; or it cannot be reached.

    """
    asked_at = time.time()
    host = urlsplit(offer.mint).netloc
    answer = transport.post_json(offer.mint, {"token": token.reveal()}, _ACCEPT)
    if answer.status != _OK:
        raise _refused(answer, host)
    document = answer.json()
    raw = document.get("token") if isinstance(document, dict) else None
    if not isinstance(raw, str) or not raw or not raw.isprintable():
        raise IndexFailure("exchange-malformed", host=host)
    return UploadToken(_expiry(document, asked_at), raw)


def _discover(transport: Transport, endpoints: Endpoints) -> Answer | None:
    """Return the first answer that offers Trusted Publishing.

    Not found means not offered. Indexes that never heard of it answer with refusals, redirects to a login, or with a
    page: they do not offer it either, and redirects are not followed.
    """
    for url in endpoints.discovery:
        answer = transport.get(url, _ACCEPT)
        if answer.status == _OK and isinstance(answer.json(), dict):
            return answer
    return None


def _endpoint(answer: Answer, keys: tuple[str, ...], endpoints: Endpoints) -> str:
    """Take a URL of the discovery's answer, if it stays at the upload URL's host and is https (http on loopback)."""
    document = answer.json()
    key = next((each for each in keys if each in document), keys[0])
    url = document.get(key)
    if not isinstance(url, str):
        raise IndexFailure("exchange-discovery", cause=f"{key} is missing", host=endpoints.host)
    try:
        parts, own = urlsplit(url), urlsplit(endpoints.upload)
        same = parts.hostname == own.hostname
    except ValueError as error:
        raise IndexFailure("exchange-discovery", cause=f"{key}: {error}", host=endpoints.host) from error
    if not same or parts.username is not None:
        raise IndexFailure("exchange-discovery", cause=f"{key} is at another host", host=endpoints.host)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(url)):
        raise IndexFailure("exchange-discovery", cause=f"{key} is not https", host=endpoints.host)
    return url


def _audience(answer: Answer, endpoints: Endpoints) -> str:
    """Take the audience, if a token made for it is of use at this index and nowhere else."""
    document = answer.json()
    audience = document.get("audience") if isinstance(document, dict) else None
    if not isinstance(audience, str) or not audience.strip() or len(audience) > _LONGEST_AUDIENCE:
        raise IndexFailure("exchange-no-audience", cause="its answer names none", host=endpoints.host)
    if not audience.isprintable():
        raise IndexFailure("exchange-no-audience", cause="it is not printable", host=endpoints.host)
    own = _OWN_AUDIENCES.get(endpoints.kind)
    plain = audience.strip().casefold()
    foreign = plain in _FOREIGN_AUDIENCES or plain.startswith(_FOREIGN_PREFIXES)
    if (own is not None and audience != own) or (own is None and foreign):
        raise IndexFailure("exchange-foreign-audience", host=endpoints.host, audience=audience)
    return audience


def _expiry(document: dict[str, Any], asked_at: float) -> float:
    stated = document.get("expires")
    if isinstance(stated, (int, float)) and not isinstance(stated, bool):
        return min(float(stated), asked_at + _LONGEST_LIFETIME)
    return asked_at + _DEFAULT_LIFETIME


# PyPI's error codes (warehouse/oidc/views.py) and what they come down to here. Other indexes' codes are opaque.
_CODES = {
    "invalid-publisher": "exchange-invalid-publisher",
    "invalid-pending-publisher": "exchange-pending-publisher",
    "invalid-reuse-token": "exchange-reused",
    "not-enabled": "exchange-not-enabled",
}


def _refused(answer: Answer, host: str) -> IndexFailure:
    document = answer.json()
    errors = document.get("errors") if isinstance(document, dict) else None
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    return IndexFailure(_CODES.get(str(first.get("code")), "exchange-refused"), cause=_words(answer), host=host)


def _words(answer: Answer) -> str:
    """Return an index's own reason in one line: draft PEP 807's error response, else the status."""
    status = f"{answer.status} {answer.reason}".strip()
    document = answer.json()
    if not isinstance(document, dict):
        return f"it answered {status}"
    errors = document.get("errors")
    descriptions = [
        f"{each.get('code')}: {each.get('description')}"
        for each in (errors if isinstance(errors, list) else [])
        if isinstance(each, dict)
    ]
    words = "; ".join(descriptions) or str(document.get("message") or "")
    return " ".join(words.split())[:500] or f"it answered {status}"
